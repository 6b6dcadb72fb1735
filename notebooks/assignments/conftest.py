"""The hand-outs are not chapters: their stubs have nothing to compare. tests/test_course*.py runs them."""

collect_ignore_glob = ["*"]
