"""`Page`: the components of the page, and what happens at each click."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from star.app import texts
from star.app.choice import PLANNED, PREVIEWED, RESTORE
from star.app.core import AppCore
from star.app.form import Form
from star.app.pictures import PLACES, make_comparison, read_places
from star.app.queue import View
from star.app.screen import Screen, describe
from star.utils import compat

gr = compat.require('gradio', 'app')

Updates = dict[Any, Any]  # component -> its update
_LABELS = {
    'plan': 'Plan',
    'preview': 'Preview',
    'restore': 'Restore',
    'pause': 'Pause',
    'resume': 'Continue',
    'stop': 'Stop',
    'remove': 'Remove',
    'compare': 'Play side by side',
}
_TICK = 1.0  # seconds between two looks at the jobs
_DAY = 24 * 3600  # seconds


class Page:
    """One page of the app; all that it shows is in the core's folder.

    Args:
        core: that does what the page asks for.
    """

    def __init__(self, core: AppCore) -> None:
        self.core = core
        self.blocks = gr.Blocks(
            title='STAR',
            analytics_enabled=False,
            fill_width=True,
            delete_cache=(_DAY, _DAY),  # pictures that were shown
        )
        with self.blocks:
            gr.HTML('<h1>STAR <small>video restoration</small></h1>')
            self.seen = gr.State({})
            with gr.Row():
                with gr.Column(scale=2, min_width=300):
                    self._build_input()
                with gr.Column(scale=3, min_width=300):
                    self._build_jobs()
            self._wire()

    def _build_input(self) -> None:
        self.upload = gr.File(
            label='Drop videos here',
            file_count='multiple',
            height=170,
            elem_id='upload',
        )
        self.message = gr.HTML(elem_id='message', visible=False)
        self.form = Form()

    def _build_jobs(self) -> None:
        self.jobs = gr.Radio(
            label='Videos', choices=[], visible=False, elem_id='jobs'
        )
        self.status = gr.HTML(
            texts.status_html(None, View({})), elem_id='status'
        )
        self.buttons: dict[str, Any] = {}
        with gr.Row(elem_id='buttons'):
            for name, label in _LABELS.items():
                self.buttons[name] = gr.Button(
                    label,
                    variant='primary' if name == 'restore' else 'secondary',
                    size='sm',
                    min_width=90,
                    visible=False,
                    elem_id=f'do-{name}',
                )
            self.all = gr.Button(
                'Restore all',
                size='sm',
                min_width=90,
                visible=False,
                elem_id='do-all',
            )
        self.plan = gr.HTML(elem_id='plan', visible=False)
        self._build_results()
        self.command = gr.Textbox(
            label='The same on a command line',
            buttons=['copy'],
            interactive=False,
            lines=2,
            visible=False,
            elem_id='command',
        )
        self.timer = gr.Timer(_TICK)

    def _build_results(self) -> None:
        with gr.Group(visible=False) as self.preview:
            self.slider = gr.ImageSlider(
                label='Input and result',
                interactive=False,
                format='png',
                buttons=['fullscreen'],
                elem_id='slider',
            )
            self.place = gr.Radio(
                label='Place of the video',
                choices=[(f'{n + 1}', n) for n in range(PLACES)],
                value=0,
                elem_id='place',
            )
        self.result = gr.HTML(elem_id='result', visible=False)
        self.comparison = gr.HTML(elem_id='comparison', visible=False)

    def _wire(self) -> None:
        values = [*self.form.values, self.jobs, self.place, self.seen]
        on, events = self._on, [self.timer.tick, self.form.method.change]
        on(self.blocks.load, self.load, [self.form.method])
        on(self.upload.upload, self.take, [self.upload, *values])
        on(self.form.method.change, self.choose_method, [self.form.method])
        for event in (*events, self.jobs.input, self.place.input):
            on(event, self.look, values)
        for name, button in self.buttons.items():
            on(button.click, getattr(self, f'do_{name}'), values)
        on(self.all.click, self.do_all, values)

    def _on(self, event: Callable, action: Callable, inputs: list) -> None:
        """Let an event call an action that may change all of the page."""
        outputs = [self.upload, self.message, *self.form.parts, self.jobs]
        outputs += [self.status, *self.buttons.values(), self.all, self.plan]
        outputs += [self.preview, self.slider, self.result, self.comparison]
        event(
            action,
            inputs,
            [*outputs, self.command, self.seen],
            show_progress='hidden',
            api_visibility='private',
            concurrency_limit=8,
        )

    # events

    def load(self, key: str | None) -> Updates:
        """Fill in the methods, once they are known."""
        try:
            methods = self.core.methods.list_methods()
        except ValueError as error:
            return {self.message: shown_html(texts.message_html(str(error)))}
        return self.form.offer(methods, key)

    def choose_method(self, key: str | None) -> Updates:
        """Show the options of a method."""
        if key is None:
            return {self.message: gr.skip()}
        return self.form.fit(self.core.methods.find(key))

    def look(self, *values: Any) -> Updates:
        """Show what has changed."""
        *_, selected, place, seen = values
        choice, key, _ = self.form.read(values)
        wanted = describe(self.core, selected, place or 0, key, choice)
        new = {k: v for k, v in wanted.items() if seen.get(k) != v}
        found: Updates = {self.seen: wanted} if new else {self.seen: gr.skip()}
        for name in new:
            found |= self._update(name, wanted)
        return found

    def take(self, paths: list[str] | None, *values: Any) -> Updates:
        """Make jobs of uploaded files; name those that are no videos."""
        errors, selected = [], None
        for path in paths or []:
            try:
                selected = self.core.take(Path(path)).id
            except (ValueError, OSError) as error:
                errors.append(str(error))
        *others, before, place, seen = values
        shown = self.look(*others, selected or before, place, seen)
        wrong = ''.join(map(texts.message_html, errors))
        return {**shown, self.upload: None, self.message: shown_html(wrong)}

    def do_plan(self, *values: Any) -> Updates:
        """Ask for a plan."""
        return self._submit(PLANNED, values)

    def do_preview(self, *values: Any) -> Updates:
        """Ask for a preview."""
        return self._submit(PREVIEWED, values)

    def do_restore(self, *values: Any) -> Updates:
        """Queue the job."""
        return self._submit(RESTORE, values)

    def do_all(self, *values: Any) -> Updates:
        """Queue all jobs that are new, with the same options."""
        choice, key, download = self.form.read(values)

        def work() -> None:
            for job in self.core.list_new():
                self.core.submit(job.id, RESTORE, key, choice, download)

        return self._try(work, values)

    def do_pause(self, *values: Any) -> Updates:
        """Pause the job."""
        return self._act(self.core.queue.pause, values)

    def do_resume(self, *values: Any) -> Updates:
        """Go on with the job."""
        return self._act(self.core.resume, values)

    def do_stop(self, *values: Any) -> Updates:
        """Stop the job."""
        return self._act(self.core.queue.stop, values)

    def do_remove(self, *values: Any) -> Updates:
        """Remove the job and its files."""
        return self._act(self.core.queue.remove, values)

    def do_compare(self, *values: Any) -> Updates:
        """Make the video of input and result."""
        store = self.core.store

        def make(id_: str) -> None:
            job = self.core.find(id_)
            paths = store.source(job), store.target(job)
            make_comparison(*paths, store.comparison(job))

        return self._act(make, values)

    # helpers

    def _submit(self, task: str, values: tuple[Any, ...]) -> Updates:
        choice, key, download = self.form.read(values)
        selected = values[-3]

        def work() -> None:
            self.core.submit(selected, task, key, choice, download)

        return self._try(work, values)

    def _act(
        self, action: Callable[[str], None], values: tuple[Any, ...]
    ) -> Updates:
        """Do something with the selected job."""
        return self._try(lambda: action(self.core.find(values[-3]).id), values)

    def _try(
        self, work: Callable[[], None], values: tuple[Any, ...]
    ) -> Updates:
        """Do something and show what has changed, or why it failed."""
        text = ''
        try:
            work()
        except (ValueError, OSError) as error:
            text = texts.message_html(str(error))
        return {**self.look(*values), self.message: shown_html(text)}

    def _update(self, name: str, wanted: Screen) -> Updates:
        """Return the updates of a part of the screen."""
        value = wanted[name]
        if name == 'jobs':
            labels, selected = value
            shown = gr.update(
                choices=labels, value=selected, visible=bool(labels)
            )
            return {self.jobs: shown}
        if name == 'buttons':
            return {
                button: gr.update(visible=key in value)
                for key, button in self.buttons.items()
            }
        if name == 'all':
            label = f'Restore all {value} new'
            return {self.all: gr.update(visible=value > 1, value=label)}
        if name == 'preview':
            return self._show_preview(value)
        if name == 'command':
            return {self.command: gr.update(value=value, visible=bool(value))}
        return {getattr(self, name): shown_html(value)}

    def _show_preview(self, value: tuple[str, int, int] | None) -> Updates:
        if value is None:
            return {self.preview: gr.update(visible=False)}
        path, _, place = value
        pair = read_places(Path(path))[place]
        return {self.preview: gr.update(visible=True), self.slider: pair}


def shown_html(text: str) -> Any:
    """Return the update of an HTML part, which is hidden without a text."""
    return gr.update(value=text, visible=bool(text))
