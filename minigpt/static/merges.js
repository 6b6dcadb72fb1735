start("merges", (root, data) => {
  const shown = (symbol) => visible(symbol in data.show ? data.show[symbol] : symbol);
  const merged = (word, { left, right }) => {
    const out = [];
    for (let i = 0; i < word.length; i += 1) {
      if (word[i] === left && word[i + 1] === right) { out.push(left + right); i += 1; } else out.push(word[i]);
    }
    return out;
  };
  const states = [data.words];
  for (const merge of data.merges) states.push(states[states.length - 1].map((word) => merged(word, merge)));
  const size = (words) => words.reduce((sum, word) => sum + word.length, 0);
  const text = element("p", { "aria-live": "polite" }), words = element("div", { class: "mg-words" });
  const draw = (k) => {
    const merge = data.merges[k - 1], fresh = merge && merge.left + merge.right;
    text.replaceChildren(...(merge ? [`Merge ${k} of ${data.merges.length} (number ${merge.rank + 1} in the list): `,
      element("strong", {}, `${shown(merge.left)} + ${shown(merge.right)} → ${shown(fresh)}`),
      `, ${merge.count} ${merge.count === 1 ? "time" : "times"} here. ${size(states[k - 1])} → ${size(states[k])} tokens.`]
      : [`Before the first merge: ${size(states[0])} tokens.`]));
    let place = 0;
    words.replaceChildren(...states[k].map((word) => element("span", { class: "mg-word" }, ...word.map((symbol) => {
      const piece = element("span", { class: "mg-piece" + (symbol === fresh ? " mg-new" : "") }, shown(symbol));
      piece.style.background = `var(--mg-c${place % 4})`;
      place += 1;
      return piece;
    }))));
  };
  const steps = stepper(data.merges.length, "merges done", draw);
  root.append(steps.row, text, words,
    element("p", { class: "mg-dim" }, "Each coloured box is one token; a framed box has this moment been merged; · is a space."));
  steps.go(0);
});
