"""Every experiment of the context broadcasting paper on image classification, with a small model and a short run.

    python -m minivit sweep recipes/cifar100_vit_nano_density.py --data DIR --out runs/density --seeds 0 1 2

One pass over 24,000 images. In four fifths of it a quarter of the patches is shown, which takes a third of the time; in
the last fifth all are, since a model must have seen as many tokens as it will be tested on.

One core per run (AMD EPYC, float32, with other work running): 3 to 10 minutes, mostly 3 to 4. Top-1, mean ± sd of
n = 3: plain 13.17 ± 0.18 %, CB 13.15 ± 0.24 %, CB_S 13.18 ± 0.17 %, CB in all blocks 12.20 ± 0.21 %. Of all 30 variants
the best mean is 13.31 % (eight heads) and the worst 11.39 % (hybrid at the front of the MLP). The records are in
results/cifar100_vit_nano_density.
"""


def get_config():
    return dict(
        model="vit_nano_patch4_32",
        dataset="cifar100",
        train_images=24_000,
        epochs=1,
        batch_size=64,
        optimizer="muon",
        learning_rate=3e-3,
        warmup_epochs=0.1,
        patch_dropout=(0.75, 0.75, 0.75, 0.75, 0.0),
        precision="auto",
    )


def get_variants(heads=(1, 2, 8)):
    """Return what differs, by name. ``heads`` are numbers of heads beside the model's own."""
    def model(**options):
        return dict(model_options=options)

    return {
        # Tables 2, 5 and S15: the upper half of the blocks, or all.
        "plain": model(),
        "cb": model(context="cb"),
        "cb_s": model(context="cb_s"),
        "cb_all": model(context="cb", context_layers="all"),
        # Table 3.
        "se": model(context="se"),
        # Table 1: A, B and C.
        "head_replaced": model(uniform_head="replace"),
        "head_matched": model(uniform_head="matched"),
        "head_appended": model(uniform_head="append"),
        # Figure 3.
        "extra_msa": model(extra_block="msa"),
        "extra_mlp": model(extra_block="mlp"),
        # Figure 9.
        **{f"heads{n}{suffix}": model(num_heads=n, **options)
           for n in heads for suffix, options in (("", {}), ("_cb", dict(context="cb")))},
        # Tables 4, S16 and S17, in all blocks as there.
        **{f"{context}_{position}": model(context=context, context_position=position, context_layers="all")
           for context in ("cb", "cb_gate", "cb_hybrid")
           for position in ("mlp_front", "mlp_mid", "mlp_end", "msa_end", "both")
           if (context, position) != ("cb", "mlp_end")},  # that is cb_all
    }
