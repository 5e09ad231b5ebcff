# for tests and demos: no weights belong to it but random ones
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/test_sets.py',
]
model = dict(
    type='SwiftVR',
    weights=[None, None, None],
    transformer=dict(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=8,
        text_dim=16,
        freq_dim=32,
        ffn_dim=48,
        num_layers=2,
        rope_max_seq_len=256,
    ),
    autoencoder=dict(latent_channels=8, dims=(64, 32, 32)),
    window_size=(2, 2),
    clip_len=8,
    prompt_tokens=4,
)
