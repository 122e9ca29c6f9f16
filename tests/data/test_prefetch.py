import threading

import pytest

from minicnn.data.prefetch import prefetch


def background_threads():
    return [thread for thread in threading.enumerate() if thread.name == "minicnn-prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    assert not background_threads()
    yield
    assert not background_threads()


def counting(made, until=1000):
    for i in range(until):
        made.append(threading.current_thread().name)
        yield i


@pytest.mark.parametrize("length", [0, 1, 2, 3, 50])
def test_yields_everything_in_order_from_one_background_thread(length):
    made = []
    assert list(prefetch(counting(made, length))) == list(range(length))
    assert made == ["minicnn-prefetch"] * length


def test_thread_starts_with_the_iteration():
    made = []
    items = prefetch(counting(made))
    assert not made
    assert not background_threads()
    assert next(items) == 0
    assert len(background_threads()) == 1
    items.close()


def test_works_ahead_but_not_further_than_asked():
    made = [threading.Event() for _ in range(10)]

    def source():
        for event in made:
            event.set()
            yield

    items = prefetch(source(), ahead=2)
    next(items)
    assert made[2].wait(5)  # the first was taken, the second and third are waiting to be
    assert not made[3].wait(0.05)
    items.close()


def test_thread_ends_when_the_consumer_stops_early():
    for item in prefetch(counting([])):
        if item == 3:
            break
    assert not background_threads()


def test_thread_ends_when_the_consumer_raises():
    def consume():
        for item in prefetch(counting([])):
            if item == 3:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough") as caught:
        consume()
    assert not background_threads()  # although the traceback is still held
    del caught


def test_exception_of_the_source_reaches_the_consumer_in_its_place():
    def source():
        yield 1
        yield 2
        raise KeyError("broken source")

    items = prefetch(source())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="broken source"):
        next(items)
    assert not background_threads()


def test_source_is_closed_when_the_consumer_stops_early():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = prefetch(source())
    next(items)
    items.close()
    del items
    assert closed.wait(5)
