from star.apis.inference.build import build_model, load_config
from star.apis.inference.memory_plan import MemoryUse, predict_memory

MIB = 2**20


def test_the_peak_is_what_lives_at_once():
    parts = dict(process=1, weights=2, activations=10, frames=3, encoder=4)
    assert MemoryUse(**parts).peak == 20
    assert MemoryUse(**parts, in_turn=True).peak == 13
    parts['activations'] = 5
    assert MemoryUse(**parts, in_turn=True).peak == 10
    assert MemoryUse(**parts, on_gpu=True).peak == 7


def test_segments_and_the_encoder_take_turns():
    model = build_model(load_config('tiny_compact'))
    options = model.restore_options

    def predict(*clip):
        return predict_memory(model, options, clip, 'libx264')

    assert not predict(None, 96, 128).in_turn  # frame after frame
    long, short = predict(None, 720, 1280), predict(8, 720, 1280)
    assert long.in_turn and short.in_turn
    for use in (long, short):
        assert use.peak < use.process + 1100 * MIB
        assert use.activations > 500 * MIB
    assert predict(40, 720, 1280).in_turn  # its end is seen at once
