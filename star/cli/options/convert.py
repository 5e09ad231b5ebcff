"""Options of `star convert`."""

from pathlib import Path

from star.cli.common import Parser
from star.cli.options import choices


def star(parser: Parser) -> None:
    """Convert official STAR or VEnhancer v2 weights."""
    _add_files(parser, '.pt or .safetensors')
    _add_sha256(parser)


def star_cogvideox(parser: Parser) -> None:
    """Convert weights of STAR on CogVideoX or of its base.

        star convert star-cogvideox SRC DST.safetensors [options]

    SRC is the released file, mp_rank_00_model_states.pt, or the same tensors
    as .safetensors: LoRA is merged, the text encoder and the autoencoder are
    left out. Or SRC is the folder `transformer` of CogVideoX-2b or -5b as
    diffusers has it, to train from: its patch embedding is widened by zeros,
    the local gates are drawn at random. Tensors are read and written one by
    one, so a file may be larger than memory. An unknown name is refused.
    """
    _add_files(parser, '.pt, .safetensors, or a folder')
    _add_sha256(parser)
    add = parser.add_argument
    add(
        '--config',
        help='refuse SRC unless it is of the size of this config: '
        'cogvideox_2b or cogvideox_5b; default: any size, which is printed',
    )
    add(
        '--dtype',
        choices=choices.CONVERTED_DTYPES,
        default='fp32',
        help='number format of DST: fp32 (22 GB for 5B) to train from, bf16 '
        '(11 GB) to restore with; default: fp32',
    )
    add(
        '--lora-alpha',
        type=float,
        default=1,
        metavar='A',
        help='LoRA updates are multiplied by A over their rank; default: 1, '
        'as in the official training',
    )
    add(
        '--drop',
        nargs='+',
        default=[],
        metavar='PREFIX',
        help='leave out names that begin so, besides the known ones',
    )


def baseline(parser: Parser) -> None:
    """Convert the files of a diffusion baseline into one.

        star convert baseline SRC DST.safetensors --config stablesr

    SRC is a folder with the files that the config names, or the first of
    them, with the others beside it. DST holds all networks, and the texts
    that they need, such as a tokenizer's. `--weights DST` restores with it.
    """
    _add_files(parser, 'folder, or the first of the files')
    add = parser.add_argument
    add('--config', required=True, help='of the method')
    add(
        '--dtype',
        choices=choices.BASELINE_DTYPES,
        default='fp32',
        help='number format of DST; default: fp32',
    )


def lpips(parser: Parser) -> None:
    """Convert LPIPS-SqueezeNet from ONNX.

    DST is a state dict of the package lpips with trunk and heads, so nothing
    is downloaded afterwards: `lpips.LPIPS(net='squeeze')` gets its trunk from
    the internet.
    """
    _add_files(parser, 'complete LPIPS graph, .onnx')


def onnx(parser: Parser) -> None:
    """Export a small model to ONNX, for other programs.

        star convert onnx tiny_compact.onnx --config tiny_compact

    Frames go in as uint8 (T, 3, height, width) RGB, and restored frames come
    out; any number of at least two frames, and any size. For tiny_compact,
    realesr_general_x4v3 and realesr_animevideov3. tiny_compact gets no noise
    here, as with --noise none. DST is written if onnxruntime gives our
    results, up to one level of 255.
    """
    add = parser.add_argument
    add('dst', type=Path, metavar='DST', help='.onnx to write')
    add('--config', default='tiny_compact', help='default: tiny_compact')
    add('--weights', help='in place of those that the config names')
    add('--overwrite', action='store_true', help='replace DST')


def diffusers(parser: Parser) -> None:
    """Make the folder of a diffusers pipeline, or undo it.

        star convert diffusers SRC FOLDER --config i2vgen
        star convert diffusers FOLDER DST.safetensors --back

    SRC is what --weights of `star restore` takes: a file, a folder, or a word
    that the config knows (heavy, light). A file of STAR on CogVideoX as it
    was released is converted on the way. `STARVideoPipeline.from_pretrained`
    reads FOLDER, and so does `star restore --weights FOLDER`. Tensors are
    copied as they are, one by one; LoRA of ours is merged. With --back the
    networks of STAR become one file again; autoencoder and text encoder stay
    in FOLDER, where their files are as they are published.
    """
    add = parser.add_argument
    add('src', metavar='SRC', help='weights; with --back the folder')
    add('dst', type=Path, metavar='DST', help='folder; with --back the file')
    add(
        '--config',
        help='of the model; default: that of a checkpoint, else of the model '
        'that ships with the package',
    )
    add('--back', action='store_true', help='write the file of a folder')
    add(
        '--official',
        action='store_true',
        help='with --back: names as in the official files of STAR on '
        'I2VGen-XL',
    )
    add('--overwrite', action='store_true', help='replace DST')


def lora(parser: Parser) -> None:
    """Write LoRA of a training in the form of PEFT and diffusers.

        star convert lora SRC DST.safetensors [options]

    The names are those of diffusers' transformer of CogVideoX: diffusers,
    PEFT and `STARVideoPipeline.load_lora_weights` read DST. The strength is
    multiplied into the weights, so that it is 1 for every program. What else
    the training has changed, such as the local gates, is left out.
    """
    _add_files(parser, 'checkpoint folder, .pth or .safetensors')
    add = parser.add_argument
    add('--ema', action='store_true', help='the averaged weights')
    add('--config', help="of the training; default: the checkpoint's own")
    add(
        '--lora-alpha',
        type=float,
        metavar='A',
        help='updates are multiplied by A over their rank; default: the '
        "config's, else 1",
    )


def publish(parser: Parser) -> None:
    """Write the weights of a checkpoint, for use and for others.

        star convert publish SRC DST.safetensors [options]
        star convert publish SRC DST/ --repo OWNER/NAME [options]

    The networks that were trained are written whole, with what the training
    kept frozen in them. A frozen autoencoder or text encoder stays in its own
    file, which the result names with its SHA-256. If DST is a folder, a
    config.json and a model card are written beside the weights: `star
    restore --config DST` takes it, and so does `--config hf://OWNER/NAME`
    once `hf upload OWNER/NAME DST` has uploaded it.
    """
    add = parser.add_argument
    add(
        'src',
        type=Path,
        metavar='SRC',
        help='checkpoint folder iter_N, the folder of a training for its last '
        'checkpoint, .pth or .safetensors',
    )
    add(
        'dst',
        metavar='DST',
        help='.safetensors to write; or a folder, which exists, ends with / '
        'or has no suffix',
    )
    add(
        '--overwrite',
        action='store_true',
        help='replace DST; in a folder, the three files',
    )
    _add_weight_options(parser)
    _add_card_options(parser)


def _add_weight_options(parser: Parser) -> None:
    add = parser.add_argument
    add(
        '--ema',
        dest='averaged',
        action='store_true',
        help='the averaged weights',
    )
    add(
        '--config',
        help="of the model; default: the checkpoint's own record",
    )
    add(
        '--base',
        type=Path,
        help='file with the weights that the training kept frozen, for '
        'checkpoints that do not record it',
    )
    add(
        '--prefix',
        default='',
        help='keep only names that begin so, and remove the prefix',
    )
    add('--vae', type=Path, help='replace the autoencoder by this file')
    add('--half', action='store_true', help='write float16')


def _add_card_options(parser: Parser) -> None:
    add = parser.add_argument_group('model card of a folder').add_argument
    add(
        '--results',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='results.json of tests of these weights; default: no scores',
    )
    add(
        '--license',
        metavar='ID',
        help="of the weights, by the hub's name, such as apache-2.0; default: "
        "that of the method's published weights, if it is known",
    )
    add(
        '--repo',
        metavar='OWNER/NAME',
        help='where the folder will be on the Hugging Face hub',
    )


def _add_files(parser: Parser, source: str) -> None:
    parser.add_argument('src', type=Path, metavar='SRC', help=source)
    parser.add_argument(
        'dst', type=Path, metavar='DST', help='.safetensors to write'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace DST')


def _add_sha256(parser: Parser) -> None:
    parser.add_argument(
        '--sha256', metavar='HEX', help='refuse SRC unless it has this hash'
    )
