"""The server's answers, without a browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from star.user_study.store import Store
from star.user_study.web import LOCAL, create_app
from tests.test_user_study.made import prepare, save_methods, shown

pytest.importorskip('flask', reason='no flask (extra study)')
JSON = 'application/json'


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    folder = tmp_path_factory.mktemp('study')
    store, cache, _ = prepare(folder, save_methods(folder))
    return store, cache


@pytest.fixture
def store(made: tuple[Store, Path]) -> Store:
    return made[0]


@pytest.fixture
def client(made: tuple[Store, Path]) -> Iterator[Any]:
    app = create_app(*made, hosts=LOCAL)
    app.testing = True
    with app.test_client() as client:
        yield client


def token(client: Any, page: str = '/') -> str:
    text = client.get(page).get_data(as_text=True)
    return re.findall(r'(?:value|data-token)="([0-9a-f]{64})"', text)[0]


def join(client: Any) -> str:
    """Take part; return the participant's page."""
    answer = client.post('/join', data={'token': token(client)})
    assert answer.status_code == 303
    return answer.headers['Location']


def vote(client: Any, page: str, **given: Any) -> Any:
    body = {'screen': 0, 'question': 'quality', 'position': 0, **given}
    headers = {'X-Token': token(client, page)}
    return client.post(f'{page}/vote', json=body, headers=headers)


def test_a_whole_study(client: Any, store: Store):
    page = join(client)
    code = page.rpartition('/')[2]
    plan = client.get(f'{page}/screens').json
    assert [len(s['videos']) for s in plan['screens']] == [3, 3]
    for i in range(2):
        for question, position in (('quality', 1), ('consistency', 2)):
            answer = vote(
                client, page, screen=i, question=question, position=position
            )
            assert (answer.status_code, answer.json) == (200, {'saved': True})
    done = client.post(
        f'{page}/finish', json={}, headers={'X-Token': token(client, page)}
    )
    assert done.json == {'finished': True}
    number = max(v.participant for v in store.votes())
    votes = [v for v in store.votes() if v.participant == number]
    screens = shown(store, code)
    assert [v.method for v in votes] == [
        screens[i][position] for i in range(2) for position in (1, 2)
    ]
    late = vote(client, page)
    assert late.status_code == 400
    assert late.json == {'error': 'this participant has finished'}


def test_nothing_tells_which_method_is_which(client: Any, store: Store):
    page = join(client)
    plan = client.get(f'{page}/screens')
    ids = [i for s in plan.json['screens'] for i in s['videos']]
    answers = [client.get(f'/video/{id_}') for id_ in ids]
    answers += [client.get('/'), client.get(page), plan]
    names = [*store.methods, *store.files().values(), 'set', 'one', 'two']
    for answer in answers:
        told = answer.get_data() + str(answer.headers).encode()
        words = set(re.findall(rb'\w+', told))
        # 'set' and 'one' are words of the pages too
        known = names[:9] if answer.mimetype == 'text/html' else names
        assert {name.encode() for name in known} & words == set()
        # of all files the same
        assert answer.headers.get('Last-Modified', '1970').count('1970') == 1


def test_comes_back_by_cookie_and_by_code(client: Any):
    page = join(client)
    assert vote(client, page, position=2).status_code == 200
    assert f'href="{page}"' in client.get('/').get_data(as_text=True)
    client.delete_cookie('study_code')
    assert page not in client.get('/').get_data(as_text=True)
    code = page.rpartition('/')[2]
    data = {'token': token(client), 'code': f' {code.upper()} '}
    assert client.post('/resume', data=data).headers['Location'] == page
    screens = client.get(f'{page}/screens').json['screens']
    assert screens[0]['votes'] == {'quality': 2}


def test_parts_of_videos(client: Any, made: tuple[Store, Path]):
    store, cache = made
    id_, file = next(iter(store.files().items()))
    data = (cache / f'{file}.mp4').read_bytes()
    whole = client.get(f'/video/{id_}')
    assert (whole.status_code, whole.mimetype) == (200, 'video/mp4')
    assert whole.data == data and whole.headers['Accept-Ranges'] == 'bytes'
    part = client.get(f'/video/{id_}', headers={'Range': 'bytes=100-199'})
    assert (part.status_code, part.data) == (206, data[100:200])
    size = len(data)
    assert part.headers['Content-Range'] == f'bytes 100-199/{size}'
    last = client.get(f'/video/{id_}', headers={'Range': 'bytes=-10'})
    assert last.data == data[-10:]
    beyond = {'Range': f'bytes={size}-'}
    assert client.get(f'/video/{id_}', headers=beyond).status_code == 416


@pytest.mark.parametrize(
    'path',
    [
        '/video/{file}.mp4',
        '/video/{file}',
        '/video/../study.db',
        '/video/..%2fstudy.db',
        '/video/%2e%2e%2fstudy.db',
        '/video//etc/passwd',
        '/video/%2fetc%2fpasswd',
        '/assets/../web.py',
        '/assets/..%2fweb.py',
        '/assets/study.html',
        '/assets/%2e%2e/store.py',
        '/study.db',
        '/static/study.js',
        '/cache/',
        '/video/',
    ],
)
def test_serves_nothing_else(client: Any, store: Store, path: str):
    file = next(iter(store.files().values()))
    answer = client.get(path.format(file=file))
    assert answer.status_code == 404
    assert b'root:' not in answer.data and b'SQLite' not in answer.data


def test_serves_what_it_lists(client: Any, store: Store):
    """The check above can fail: ids and assets are answered."""
    for id_ in store.files():
        assert client.get(f'/video/{id_}').status_code == 200
    for name in ('study.js', 'study.css'):
        answer = client.get(f'/assets/{name}')
        assert answer.status_code == 200 and len(answer.data) > 1000


@pytest.mark.parametrize(
    'headers',
    [
        {},
        {'X-Token': '0' * 64},
        {'X-Token': 'ä'},
        {'X-Token': 'right', 'Origin': 'http://elsewhere.example'},
        {'X-Token': 'right', 'Origin': 'null'},
    ],
)
def test_refuses_what_other_sites_post(
    client: Any, store: Store, headers: dict[str, str]
):
    page = join(client)
    count = len(store.votes())
    right = token(client, page)
    headers = {k: v.replace('right', right) for k, v in headers.items()}
    body = {'screen': 0, 'question': 'quality', 'position': 0}
    answer = client.post(f'{page}/vote', json=body, headers=headers)
    assert answer.status_code == 403
    assert len(store.votes()) == count
    own = {'X-Token': right, 'Origin': 'http://localhost'}
    assert client.post(f'{page}/vote', json=body, headers=own).json
    assert len(store.votes()) == count + 1


def test_a_token_is_one_visitors(client: Any):
    """What another visitor was given does not work with my cookie."""
    other = client.application.test_client()
    answer = client.post('/join', data={'token': token(other)})
    assert token(client) and answer.status_code == 403


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'position': 3}, 'there is no screen 0 with position 3'),
        ({'position': '0'}, '`position` must be int'),
        ({'position': True}, '`position` must be int'),
        ({'position': 0.0}, '`position` must be int'),
        ({'screen': 9}, 'there is no screen 9 with position 0'),
        ({'screen': None}, '`screen` must be int'),
        ({'question': 'best'}, "there is no question 'best'"),
        ({'method': 'alpha'}, 'a vote has screen, question, position'),
    ],
)
def test_wrong_votes(
    client: Any, store: Store, given: dict[str, Any], message: str
):
    page = join(client)
    count = len(store.votes())
    answer = vote(client, page, **given)
    assert (answer.status_code, answer.json) == (400, {'error': message})
    assert len(store.votes()) == count


def test_huge_numbers_and_bodies(client: Any):
    page = join(client)
    assert vote(client, page, position=2**70).status_code == 400
    assert vote(client, page, question='x' * 5000).status_code == 413


def test_unknown_participants(client: Any):
    answer = client.get('/study/nobody')
    assert answer.status_code == 404
    assert b'Sorry: nobody has this code.' in answer.data
    assert client.get('/study/nobody/screens').status_code == 400


def test_headers(client: Any):
    for path in ('/', join(client), '/assets/study.js', '/nothing'):
        headers = client.get(path).headers
        policy = headers['Content-Security-Policy']
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert 'unsafe' not in policy and 'http' not in policy
        assert headers['X-Content-Type-Options'] == 'nosniff'
        assert headers['X-Frame-Options'] == 'DENY'
        assert headers['Cache-Control'] == 'no-store'
    for cookie in client.get('/').headers.getlist('Set-Cookie'):
        assert 'HttpOnly' in cookie and 'SameSite=Strict' in cookie


def test_pages_load_nothing_from_elsewhere(client: Any):
    for path in ('/', join(client), '/assets/study.js', '/assets/study.css'):
        assert b'://' not in client.get(path).data


@pytest.mark.parametrize(
    ('host', 'status'),
    [
        ('localhost:8000', 200),
        ('127.0.0.1:1', 200),
        ('[::1]:8000', 200),
        ('evil.example', 400),
        ('evil.example:8000', 400),
    ],
)
def test_answers_to_local_names_only(client: Any, host: str, status: int):
    """A page elsewhere cannot give its own name this address."""
    assert client.get('/', headers={'Host': host}).status_code == status


def test_relative_folder(
    made: tuple[Store, Path], monkeypatch: pytest.MonkeyPatch
):
    store, cache = made
    monkeypatch.chdir(cache.parent)
    client = create_app(store, Path(cache.name)).test_client()
    id_ = next(iter(store.files()))
    assert client.get(f'/video/{id_}').status_code == 200


def test_missing_file(made: tuple[Store, Path], tmp_path: Path):
    with pytest.raises(ValueError, match=r'^`cache` lacks .*\.mp4$'):
        create_app(made[0], tmp_path)
