"""Figure 4's shape: training and test perplexity against model size, and a text read too often: python book/studies/sizes.py

`minigpt/memorisation.py` says what is measured. Finished runs are kept in OUT, and a killed study goes on with the next one.
"""

import argparse

import torch

from minigpt import memorisation, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/memorisation", help="where finished runs are kept")
    parser.add_argument("--only", type=int, choices=[*memorisation.SHAPES, 0], help="one width, or 0: the small text; no record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only is not None:
        print(memorisation.sizes(options.out, [options.only])[options.only])
        return
    values, protocol, summary = memorisation.figure4(options.out)
    print(results.save("14-sizes", values, "python book/studies/sizes.py", [0], protocol, summary=summary,
                       depends=["minigpt.memorisation", *memorisation.TRAINING]))


if __name__ == "__main__":
    main()
