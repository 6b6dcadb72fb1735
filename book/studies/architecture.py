"""The sizes of GPT-2's Table 2, counted on the models themselves: python book/studies/architecture.py"""

import torch

from minigpt import GPT, GPTConfig, paper, results

if __name__ == "__main__":
    values = {}
    for preset, name in paper.PAPER_NAMES.items():
        with torch.device("meta"):  # shapes without memory
            model = GPT(GPTConfig.preset(preset))
        values[name] = {"parameters": model.n_params(), "layers": model.config.n_layer, "d_model": model.config.n_embd}
    results.save("gpt2-table2-paper", values, "python book/studies/architecture.py",
                 protocol="parameters of the released configurations, a tied head counted once",
                 depends=["minigpt.model", "minigpt.paper"],
                 summary=", ".join(f"{name}: {row['parameters']:,}" for name, row in values.items()))
