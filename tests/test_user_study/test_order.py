"""Orders are complete, repeatable and fair."""

from collections import Counter

from star.user_study.order import plan_screens


def test_every_clip_and_method_once():
    screens = plan_screens(seed=3, number=5, clips=20, methods=4)
    assert sorted(s.clip for s in screens) == list(range(20))
    assert {tuple(sorted(s.methods)) for s in screens} == {(0, 1, 2, 3)}


def test_follows_seed_and_participant():
    plans = [plan_screens(*pair, 20, 4) for pair in [(1, 2), (1, 2)]]
    assert plans[0] == plans[1]
    assert plan_screens(1, 3, 20, 4) != plans[0] != plan_screens(2, 2, 20, 4)


def test_places_are_even():
    """Over many participants each method is everywhere equally often."""
    plans = [plan_screens(0, number, 10, 4) for number in range(300)]
    places = Counter(
        (method, place)
        for plan in plans
        for screen in plan
        for place, method in enumerate(screen.methods)
    )
    # 3000 screens, 750 expected; five standard deviations are 119
    assert len(places) == 16
    assert all(abs(count - 750) < 119 for count in places.values())
    first = Counter(plan[0].clip for plan in plans)
    assert all(abs(first[clip] - 30) < 26 for clip in range(10))
