"""How often must a passage be read before a model recites it, and how much of what a model writes has it read?

    python book/studies/recitation.py recite       # passages planted 0 to 256 times
    python book/studies/recitation.py samples      # Figure 5's shape: overlap of samples and of test text with the training text

`minigpt/memorisation.py` says what is measured. Finished runs are kept in OUT, and a killed study goes on with the next one.
"""

import argparse

import torch

from minigpt import memorisation, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["recite", "samples"])
    parser.add_argument("--out", default="runs/memorisation", help="where finished runs are kept")
    parser.add_argument("--only", type=int, help="for recite: one seed; no record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only is not None:
        print(memorisation.recitations(options.out, [options.only]))
        return
    name, measure, code, seeds = {
        "recite": ("14-recitation", memorisation.recitation, memorisation.WRITING, memorisation.SEEDS),
        "samples": ("14-samples", memorisation.figure5, ["minigpt.overlap", *memorisation.WRITING], [0])}[options.study]
    values, protocol, summary = measure(options.out)
    print(results.save(name, values, f"python book/studies/recitation.py {options.study}", seeds, protocol, summary=summary,
                       depends=["minigpt.memorisation", *code]))


if __name__ == "__main__":
    main()
