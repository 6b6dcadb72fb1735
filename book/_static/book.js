/* Small things that the theme leaves out. */
(function () {
  "use strict";
  // From a folder on a disk a page may not read its neighbours: search then lists titles without excerpts.
  if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }
  // A link to something folded opens it.
  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }
  addEventListener("DOMContentLoaded", unfold);
  addEventListener("hashchange", unfold);
  // What scrolls sideways can be reached and scrolled by keyboard.
  function reachable() {
    for (const box of document.querySelectorAll("article :is(.pst-scrollable-table-container, .equation, pre, .output)")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  }
  addEventListener("load", reachable);
  addEventListener("resize", reachable);
  addEventListener("toggle", reachable, true);
  // Paper has nothing to click: what is folded is opened for printing and folded again afterwards.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("article details:not([open])"));
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
