"""`Form`: the method and its options on the page."""

from collections.abc import Sequence
from html import escape
from typing import Any

import av

from star.app.choice import METHOD_OPTIONS, Choice
from star.app.methods import Method
from star.utils import compat

gr = compat.require('gradio', 'app')

_CODECS = {
    'libx264': 'H.264',
    'libx265': 'H.265',
    'libsvtav1': 'AV1',
    'ffv1': 'lossless (FFV1)',
}
_OWN = ('as the method', '')
_NUMBERS = ('scale', 'window', 'tile', 'seed', 'fidelity', 'crf')
_HINTS = {
    'scale': 'output size over input size',
    'window': 'frames at once; empty: chosen for the memory',
    'tile': 'side in output pixels; empty: chosen for the memory',
    'seed': 'of all random numbers; empty: 0',
    'fidelity': '1: truest to the input; empty: 0, the method alone',
    'crf': 'quality, less is better; empty: 17',
}


class Form:
    """Components of the options, by name.

    Attributes:
        method: the method's key.
        note: its licence, and what is to be downloaded.
        download: agreement to a download.
        options: components by the name of the option.
    """

    def __init__(self) -> None:
        self.method = gr.Dropdown(
            label='Method',
            choices=[],
            value=None,
            info='looking for the methods of this machine ...',
            elem_id='method',
        )
        self.note = gr.HTML(elem_id='note', visible=False)
        self.download = gr.Checkbox(
            label='Download the weights', visible=False, elem_id='download'
        )
        self.options: dict[str, Any] = {}
        with gr.Accordion('Options', open=False, elem_id='options'):
            self._build_options()

    @property
    def parts(self) -> list[Any]:
        """List all components."""
        return [self.method, self.note, self.download, *self.options.values()]

    @property
    def values(self) -> list[Any]:
        """List the components that `read` reads."""
        return [self.method, self.download, *self.options.values()]

    def read(self, values: Sequence[Any]) -> tuple[Choice, str | None, bool]:
        """Read the values of the components.

        Args:
            values: of `values`, perhaps with others behind.

        Returns:
            The choice, the method's key, and whether a download is agreed.
        """
        key, download, *rest = values[: 2 + len(self.options)]
        found = dict(zip(self.options, rest, strict=True))
        return Choice.from_json(found), key, bool(download)

    def offer(self, methods: Sequence[Method], key: str | None) -> dict:
        """Return the updates that offer methods.

        Args:
            methods: the first is the default.
            key: of the method that is chosen; None for none.
        """
        keys = [method.key for method in methods]
        index = keys.index(key) if key in keys else 0
        chosen = methods[index]
        dropdown = gr.update(
            choices=[(method.label, method.key) for method in methods],
            value=chosen.key,
            info='those whose weights are here, or can be downloaded',
        )
        return {self.method: dropdown, **self.fit(chosen)}

    def fit(self, method: Method) -> dict:
        """Return the updates that show the options of a method."""
        found: dict[Any, Any] = {
            self.options[name]: gr.update(visible=name in method.used)
            for name in METHOD_OPTIONS
        }
        found[self.options['scale']] = gr.update(
            placeholder=f'{method.scale:g}', visible='scale' in method.used
        )
        found[self.options['color_fix']] = gr.update(
            choices=[_OWN, *method.color_fixes],
            visible='color_fix' in method.used,
        )
        found[self.download] = gr.update(
            visible=bool(method.missing),
            value=False,
            label=f'Download {method.amount}, when this is needed',
        )
        text = note_html(method)
        note = gr.update(value=text, visible=bool(text))
        return {**found, self.note: note}

    def _build_options(self) -> None:
        with gr.Row():
            for name in _NUMBERS:
                # a number's field cannot be empty
                self.options[name] = gr.Textbox(
                    label=name.upper() if name == 'crf' else name.title(),
                    info=_HINTS[name],
                    max_lines=1,
                    min_width=130,
                    elem_id=f'option-{name}',
                )
        with gr.Row():
            self.options['color_fix'] = gr.Dropdown(
                label='Colour fix',
                choices=[_OWN],
                value='',
                min_width=130,
                elem_id='option-color_fix',
            )
            self.options['codec'] = gr.Dropdown(
                label='Codec',
                choices=[('automatic', ''), *list_codecs()],
                value='',
                min_width=130,
                elem_id='option-codec',
            )
        self.options['prompt'] = gr.Textbox(
            label='Prompt',
            info='what the video shows',
            elem_id='option-prompt',
        )


def list_codecs() -> list[tuple[str, str]]:
    """List labels and names of the encoders that are here."""
    found = []
    for name, label in _CODECS.items():
        try:
            av.codec.Codec(name, 'w')
        except ValueError:
            continue
        found.append((f'{label}, {name}', name))
    return found


def note_html(method: Method) -> str:
    """Describe where a method's weights come from."""
    lines = []
    if method.licence:
        lines.append(f'Licence of the weights: {method.licence}')
    if method.missing:
        lines.append(f'To be downloaded: {", ".join(method.missing)}')
    return ''.join(f'<p class="soft">{escape(line)}</p>' for line in lines)
