"""What the images of a request may take."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pipeline.data.image_decoding import BadImageError, Decoding
from pipeline.inference import request_limit
from pipeline.inference.model_interface import ModelInterface
from pipeline.inference.request_limit import RequestLimit

RGB = ModelInterface("classification", ("no", "yes"), Decoding((8, 8), "squash"))


@pytest.fixture
def decoder() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def image() -> bytes:
    """An image of a thousand pixels."""
    file = io.BytesIO()
    Image.new("RGB", (50, 20), "orange").save(file, "PNG")
    return file.getvalue()


def test_an_image_is_decoded_as_the_interface_decodes_it(
    image: bytes, decoder: ThreadPoolExecutor
) -> None:
    decoded = RequestLimit(RGB, decoder).decode(image)
    np.testing.assert_array_equal(decoded, RGB.decode(image))


def test_a_request_of_too_many_pixels_is_rejected_from_the_first_that_is_too_much(
    image: bytes, decoder: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limit, "MAX_PIXELS", 2999)
    limit = RequestLimit(RGB, decoder)
    limit.decode(image)
    limit.decode(image)
    with pytest.raises(BadImageError) as caught:
        limit.decode(image)
    assert str(caught.value) == (
        "the images of the request have more than 2,999 pixels together; send fewer"
    )
    RequestLimit(RGB, decoder).decode(image)  # the next request


def test_one_image_is_decoded_at_a_time_by_all_requests(
    image: bytes, decoder: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, most, decode = 0, 0, ModelInterface.decode

    def slowly(self: ModelInterface, data: bytes) -> np.ndarray:
        nonlocal decoding, most
        decoding += 1
        most = max(most, decoding)
        time.sleep(0.01)
        decoding -= 1
        return decode(self, data)

    monkeypatch.setattr(ModelInterface, "decode", slowly)
    requests = [RequestLimit(RGB, decoder), RequestLimit(RGB, decoder)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: requests[number % 2].decode(image), range(16)))
    assert most == 1
