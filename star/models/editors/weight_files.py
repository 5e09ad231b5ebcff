"""Published files of weights of the baselines.

Digests are of the files that the authors serve. A copy that was packed anew
has another digest, even with the same numbers.
"""

from star.utils.weight_files import WeightFile

_REAL_ESRGAN = 'https://github.com/xinntao/Real-ESRGAN/releases/download'
_OPENMMLAB = 'https://download.openmmlab.com/mmediting/restorers/real_basicvsr'
_DRIVE = 'https://drive.google.com/drive/folders'
_S_LAB = 'S-Lab-1.0 (non-commercial)'
_DBVSR = f'{_DRIVE}/1qqJzwbA_Xwsv_yOGuglUezaY2SduhupR'
_UAV = f'{_DRIVE}/1O8pbeR1hsRlFUU8O4EULe-lOKNGEWZl1'
_RESSHIFT = 'https://github.com/zsyOAOA/ResShift/releases/tag/v2.0'
_MGLD = (
    'https://huggingface.co/Iceclear/MGLD-VSR or the links in the README of '
    'https://github.com/IanYeung/MGLD-VSR'
)

_SWIFTVR = 'https://huggingface.co/H-oliday/SwiftVR/resolve/main'
_SEEDVR2 = 'ByteDance-Seed/SeedVR2-3B'
_SEEDVR2_7B = 'ByteDance-Seed/SeedVR2-7B'
_SEEDVR2_COPIES = 'numz/SeedVR2_comfyUI'
_DOVE = 'https://github.com/zhengchen1999/DOVE'
_COGVIDEOX = 'CogVideoX LICENSE (not Apache)'
_EMPTY = (  # SHA-256 of the empty prompt
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    '.safetensors'
)

_FILES = (
    WeightFile(
        'RealESRGAN_x4plus.pth',
        f'{_REAL_ESRGAN}/v0.1.0/RealESRGAN_x4plus.pth',
        '4fa0d389',
        'BSD-3-Clause',
    ),
    WeightFile(
        'RealESRNet_x4plus.pth',
        f'{_REAL_ESRGAN}/v0.1.1/RealESRNet_x4plus.pth',
        'a820b9bd',
        'BSD-3-Clause',
    ),
    WeightFile(
        'RealESRGAN_x2plus.pth',
        f'{_REAL_ESRGAN}/v0.2.1/RealESRGAN_x2plus.pth',
        '49fafd45',
        'BSD-3-Clause',
    ),
    WeightFile(
        'RealESRGAN_x4plus_anime_6B.pth',
        f'{_REAL_ESRGAN}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth',
        'f872d837',
        'BSD-3-Clause',
    ),
    WeightFile(
        'realesr-general-x4v3.pth',
        f'{_REAL_ESRGAN}/v0.2.5.0/realesr-general-x4v3.pth',
        '8dc7edb9',
        'BSD-3-Clause',
    ),
    WeightFile(
        'realesr-general-wdn-x4v3.pth',
        f'{_REAL_ESRGAN}/v0.2.5.0/realesr-general-wdn-x4v3.pth',
        '1641f8c4',
        'BSD-3-Clause',
    ),
    WeightFile(
        'realesr-animevideov3.pth',
        f'{_REAL_ESRGAN}/v0.2.5.0/realesr-animevideov3.pth',
        'b8a83768',
        'BSD-3-Clause',
    ),
    WeightFile(
        'realbasicvsr_c64b20_1x30x8_lr5e-5_150k_reds_20211104-52f77c2c.pth',
        f'{_OPENMMLAB}/realbasicvsr_c64b20_1x30x8_lr5e-5_150k_reds_'
        '20211104-52f77c2c.pth',
        '52f77c2c835a',
        'Apache-2.0',
    ),
    WeightFile(
        'RealViformer_weights.pth',
        '',
        '25d49a0128b1',
        'MIT',
        names=('weights.pth',),
        source=f'{_DRIVE}/1UzDfFSy5oELl7Z-umF_QhMQhUbUU378y (weights.pth)',
    ),
    WeightFile(
        'model_dbvsr.pt',
        '',
        '',
        'none stated',
        source=f'{_DBVSR} (models_in_paper/dbvsr)',
    ),
    WeightFile(
        'network-default.pytorch',
        '',
        '',
        'none stated',
        source='https://github.com/cscss/DBVSR (pretrain)',
    ),
    WeightFile(
        'stablesr_000117.ckpt',
        '',
        '',
        _S_LAB,
        source='https://huggingface.co/Iceclear/StableSR',
    ),
    WeightFile(
        'vqgan_cfw_00011.ckpt',
        '',
        '',
        _S_LAB,
        source='https://huggingface.co/Iceclear/StableSR',
    ),
    WeightFile(
        'resshift_realsrx4_s15_v1.pth',
        '',
        '',
        _S_LAB,
        source=_RESSHIFT,
    ),
    WeightFile(
        'resshift_realsrx4_s15_v2.pth',
        '',
        '',
        _S_LAB,
        source=_RESSHIFT,
    ),
    WeightFile(
        'resshift_realsrx4_s4_v3.pth',
        '',
        '',
        _S_LAB,
        source=_RESSHIFT,
    ),
    WeightFile(
        'autoencoder_vq_f4.pth',
        '',
        '',
        _S_LAB,
        source=_RESSHIFT,
    ),
    WeightFile(
        'unet_video.bin',
        '',
        '',
        _S_LAB,
        names=('unet/unet_video.bin',),
        source=f'{_UAV} (unet)',
    ),
    WeightFile(
        'vae_3d.bin',
        '',
        '',
        _S_LAB,
        names=('vae/vae_3d.bin',),
        source=f'{_UAV} (vae)',
    ),
    WeightFile(
        'vae_video.bin',
        '',
        '',
        _S_LAB,
        names=('vae/vae_video.bin',),
        source=f'{_UAV} (vae)',
    ),
    # the text tower of Stable Diffusion's x4 upscaler
    WeightFile(
        'upscale_a_video_text_encoder.bin',
        '',
        '',
        'CreativeML Open RAIL++-M',
        names=(
            'text_encoder/model.safetensors',
            'text_encoder/pytorch_model.bin',
        ),
        source=f'{_UAV} (text_encoder, keep the folder)',
    ),
    WeightFile(
        'raft-things.pth',
        '',
        '',
        'BSD-3-Clause',
        names=('propagator/raft-things.pth',),
        source=f'{_UAV} (propagator), or from princeton-vl/RAFT',
    ),
    WeightFile(
        'mgldvsr_unet.ckpt',
        '',
        '',
        _S_LAB,
        source=_MGLD,
    ),
    WeightFile(
        'video_vae_cfw.ckpt',
        '',
        '',
        _S_LAB,
        source=_MGLD,
    ),
    # the pipeline's folder, one of its folders, or the one that holds it
    WeightFile(
        'dove_transformer.safetensors',
        licence=_COGVIDEOX,
        names=[
            f'{folder}diffusion_pytorch_model.safetensors{end}'
            for folder in ('transformer/', 'DOVE/transformer/', '')
            for end in ('.index.json', '')
        ],
        source=f'{_DOVE} (links in the README; keep the folders)',
    ),
    WeightFile(
        'dove_vae.safetensors',
        licence=_COGVIDEOX,
        names=[
            f'{folder}vae/diffusion_pytorch_model.safetensors'
            for folder in ('', 'DOVE/', '../')
        ],
        source=f'{_DOVE} (links in the README; keep the folders)',
    ),
    WeightFile(
        'dove_prompt.safetensors',
        licence='Apache-2.0',
        names=[
            f'{folder}{_EMPTY}'
            for folder in (
                '',
                'prompt_embeddings/',
                '../prompt_embeddings/',
                '../../prompt_embeddings/',
            )
        ],
        source=f'{_DOVE} (pretrained_models/prompt_embeddings/{_EMPTY})',
    ),
    WeightFile(
        'swiftvr_transformer.safetensors',
        f'{_SWIFTVR}/transformer/diffusion_pytorch_model.safetensors',
        'f7ade5b8',
        'Apache-2.0',
        names=('transformer/diffusion_pytorch_model.safetensors',),
    ),
    WeightFile(
        'swiftvr_reae.safetensors',
        f'{_SWIFTVR}/reae.safetensors',
        'c915205d',
        'Apache-2.0',
        names=('reae.safetensors',),
    ),
    WeightFile(
        'swiftvr_prompt_embedding.safetensors',
        f'{_SWIFTVR}/prompt_embedding.safetensors',
        'cc4cf7b9',
        'Apache-2.0',
        names=('prompt_embedding.safetensors',),
    ),
    WeightFile(
        'seedvr2_ema_3b.pth',
        licence='Apache-2.0',
        names=(
            'seedvr2_ema_3b_fp16.safetensors',
            'seedvr2_ema_3b_fp8_e4m3fn.safetensors',
            'seedvr2_3b_fp16.safetensors',
        ),
        repo=_SEEDVR2,
    ),
    WeightFile(
        'seedvr2_ema_7b.pth',
        licence='Apache-2.0',
        names=(
            'seedvr2_ema_7b_fp16.safetensors',
            'seedvr2_ema_7b_fp8_e4m3fn_mixed_block35_fp16.safetensors',
            'seedvr2_ema_7b_fp8_e4m3fn.safetensors',
        ),
        repo=_SEEDVR2_7B,
    ),
    WeightFile(
        'seedvr2_ema_7b_sharp.pth',
        licence='Apache-2.0',
        names=('seedvr2_ema_7b_sharp_fp16.safetensors',),
        repo=_SEEDVR2_7B,
    ),
    WeightFile(
        'ema_vae.pth',
        licence='Apache-2.0',
        names=('ema_vae_fp16.safetensors',),
        repo=_SEEDVR2,
    ),
    WeightFile(
        'pos_emb.pt',
        sha256='fa07a14844314772266b66c3b95deb0027696d8fe7065721263db5176f45'
        'd799',
        licence='Apache-2.0',
        repo=_SEEDVR2,
    ),
    WeightFile(
        'neg_emb.pt',
        sha256='6a43e5800ef2354f1c156d27535834da055cbec8248298b8923492bba207'
        '6581',
        licence='Apache-2.0',
        repo=_SEEDVR2,
    ),
    WeightFile(
        'seedvr2_ema_3b_fp16.safetensors',
        sha256='2fd0e03a',
        licence='Apache-2.0',
        repo=_SEEDVR2_COPIES,
    ),
    WeightFile(
        'seedvr2_ema_7b_fp16.safetensors',
        sha256='7b8241aa',
        licence='Apache-2.0',
        repo=_SEEDVR2_COPIES,
    ),
    WeightFile(
        'seedvr2_ema_7b_sharp_fp16.safetensors',
        sha256='20a93e01',
        licence='Apache-2.0',
        repo=_SEEDVR2_COPIES,
    ),
)
FILES = {file.name: file for file in _FILES}
