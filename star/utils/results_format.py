"""Format of results.json, which `star test` writes and reports read."""

from typing import Any, TypedDict

RESULTS = 'results.json'
FORMAT = 'star-results/1'

Score = float | str | None  # infinity is the text 'inf'


class FrameScoresRecord(TypedDict):
    """Scores of the frames of a clip, or of its pairs of frames."""

    frames: list[int]
    values: list[Score]


class ShiftRecord(TypedDict):
    """Position of a restored clip against its ground truth, in pixels."""

    rows: float
    columns: float
    gain: float


class ClipRecord(TypedDict):
    """One scored clip; sizes are height and width."""

    dataset: str
    name: str
    num_frames: int
    fps: float | None
    lq_size: list[int] | None
    size: list[int]
    seconds: float | None
    peak_memory: int | None
    files: dict[str, str]
    scores: dict[str, Score]
    parts: dict[str, FrameScoresRecord]
    extras: dict[str, Any]
    shift: ShiftRecord | None


class SetRecord(TypedDict):
    """One test set: means over its clips, and how many have a score."""

    clips: int
    frames: int
    scores: dict[str, Score]
    scored: dict[str, int]
    seconds_per_frame: float | None
    peak_memory: int | None


class OriginRecord(TypedDict):
    """The common origin of several tensors of one part of a model."""

    part: str
    kind: str  # 'file', 'random', or 'config' for what the config computes
    source: str  # name of the file
    sha256: str  # of the file
    tensors: int  # parameters and buffers
    parameters: int  # values in them


class MethodRecord(TypedDict):
    """The method that was tested."""

    name: str
    config: str
    type: str
    checkpoint: str | None
    weights: dict[str, str]
    random_init: bool
    origins: list[OriginRecord]  # absent in older files
    options: dict[str, Any]
    model: dict[str, Any]
    dtype: str


class MetricRecord(TypedDict):
    """One metric of a protocol."""

    name: str
    type: str
    unit: str
    higher_is_better: bool
    options: dict[str, Any]
    weights: dict[str, str]


class ProtocolRecord(TypedDict):
    """The rules of scoring; the fingerprint stands for all of them."""

    fingerprint: str
    metrics: list[MetricRecord]
    sets: dict[str, Any]
    versions: dict[str, str]
    decoder: str
    seed: int
    input: str
    device: str
    threads: int


class ResultsRecord(TypedDict):
    """The whole file."""

    format: str
    method: MethodRecord
    protocol: ProtocolRecord
    sets: dict[str, SetRecord]
    clips: list[ClipRecord]
    problems: list[str]
