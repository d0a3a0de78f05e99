"""Dates in the names of files and folders, and numbers that only look like dates."""

from __future__ import annotations

import os
from datetime import date

import pytest

from facesearch.photos.names import date_in_path


def told(path: str) -> str | None:
    """Return the date and time as precisely as the name has it."""
    found = date_in_path(os.fsencode(path))
    if found is None:
        return None
    assert found.source == "name"
    assert found.offset == ""
    length = {"year": 4, "month": 7, "day": 10, "minute": 16, "second": 19}[found.precision]
    assert found.moment[length:] == "-01-01T00:00:00"[length - 4 :] if length < 19 else True
    return found.moment[:length]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # Phones and cameras.
        ("IMG_20190703_142205.jpg", "2019-07-03T14:22:05"),
        ("IMG20190703142205.jpg", "2019-07-03T14:22:05"),
        ("IMG_20190703_142205_1.jpg", "2019-07-03T14:22:05"),
        ("IMG_20190703_142205123.jpg", "2019-07-03T14:22:05"),
        ("IMG_20190703.jpg", "2019-07-03"),
        ("VID_20190703_142205.avif", "2019-07-03T14:22:05"),
        ("MVIMG_20190703_142205.jpg", "2019-07-03T14:22:05"),
        ("PANO_20190703_142205.jpg", "2019-07-03T14:22:05"),
        ("PXL_20210102_030405678.jpg", "2021-01-02"),  # the time is UTC
        ("PXL_20210102_030405678.PORTRAIT.jpg", "2021-01-02"),
        ("20190703_142205.jpg", "2019-07-03T14:22:05"),
        ("20190703_142205(0).jpg", "2019-07-03T14:22:05"),
        ("20190703_142205-EFFECTS.jpg", "2019-07-03T14:22:05"),
        ("20190703.jpg", "2019-07-03"),
        ("WIN_20200102_03_04_05_Pro.jpg", "2020-01-02T03:04:05"),
        ("WP_20150102_03_04_05_Pro.jpg", "2015-01-02T03:04:05"),
        ("DSC_20190703.JPG", "2019-07-03"),
        # Messengers, screenshots, clouds.
        ("IMG-20190703-WA0001.jpg", "2019-07-03"),
        ("WhatsApp Image 2019-07-03 at 14.22.05.jpeg", "2019-07-03T14:22:05"),
        ("WhatsApp Image 2019-07-03 at 14.22.05 (1).jpeg", "2019-07-03T14:22:05"),
        ("photo_2021-02-03_12-34-56.jpg", "2021-02-03T12:34:56"),
        ("signal-2021-03-04-123456.jpg", "2021-03-04T12:34:56"),
        ("signal-2021-03-04-12-34-56-789.jpg", "2021-03-04T12:34:56"),
        ("Screenshot_2020-01-02-03-04-05.png", "2020-01-02T03:04:05"),
        ("Screenshot_20200102-030405.png", "2020-01-02T03:04:05"),
        ("Screenshot_20200102-030405_WhatsApp.jpg", "2020-01-02T03:04:05"),
        ("Screenshot 2020-01-02 at 03.04.05.png", "2020-01-02T03:04:05"),
        ("Bildschirmfoto 2020-01-02 um 03.04.05.png", "2020-01-02"),
        ("2019-07-03 14.22.05.jpg", "2019-07-03T14:22:05"),
        ("2019-07-03 14.22.05-2.jpg", "2019-07-03T14:22:05"),
        ("2019-07-03T14:22:05.jpg", "2019-07-03T14:22:05"),
        ("2019-07-03_14-22.jpg", "2019-07-03T14:22"),
        # People.
        ("2019-07-03 Anna in Rome.jpg", "2019-07-03"),
        ("2019_07_03_beach.jpg", "2019-07-03"),
        ("2019.07.03.jpg", "2019-07-03"),
        ("Anna 2019-07-03.jpg", "2019-07-03"),
        ("1962-07.jpg", "1962-07"),
        ("1962-07 Italy 003.tif", "1962-07"),
        ("1962-07_0012.tif", "1962-07"),
        ("19620703 tower.tif", "1962-07-03"),
        ("1962 wedding.jpg", "1962"),
        ("scans/1962/0001.tif", "1962"),
        ("1962/Italy/0001.tif", "1962"),
        ("1962-07 Italy/0001.tif", "1962-07"),
        ("1962-07-03 Pisa/0001.tif", "1962-07-03"),
        ("1962_Italy/0001.tif", "1962"),
        ("1962, Italy/0001.tif", "1962"),
        ("1962 - Italy/0001.tif", "1962"),
        ("Photos from 2019/a.jpg", "2019"),
        ("Christmas 1985/a.jpg", "1985"),
        ("20190703 Italy/a.jpg", "2019-07-03"),
        ("DCIM/201907__/IMG_0001.JPG", "2019-07"),
        ("2019/07/IMG_0001.JPG", "2019-07"),
        ("2019/07/03/IMG_0001.JPG", "2019-07-03"),
        ("2019/2019-07-03/IMG_0001.JPG", "2019-07-03"),
        # The nearest name counts; names that agree with it may refine it.
        ("2001/1962-07 Italy/0001.tif", "1962-07"),
        ("1962-07 Italy/1962/0001.tif", "1962-07"),
        ("2019/IMG_20180102_030405.jpg", "2018-01-02T03:04:05"),
        ("1962-07 Italy/1962 tower.tif", "1962-07"),
    ],
)
def test_names_with_dates(path: str, expected: str) -> None:
    assert told(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "DSC_19620703.JPG",  # a counter: there were no digital cameras
        "IMG_1962.JPG", "DSC01962.JPG", "P1962.JPG", "1962.jpg", "1962 copy.jpg", "1962-edited.jpg", "photo 1962.jpg",
        "20191332.jpg", "20190230.jpg", "20190003.jpg", "17760704.jpg", "99991231.jpg", "00000000.jpg",
        "120190703.jpg", "201907031.jpg", "A20190703B.jpg", "12345678.jpg", "2019070314.jpg",
        "FB_IMG_1562156525123.jpg", "10151234567890_20190703_n.jpg", "49912345678_a1b2c3_o.jpg",
        "received_2020010212345678.jpeg", "20190703-4a5b-4c6d-8e7f-0123456789ab.jpg", "IMG_E0703.JPG",
        "03.07.2019.jpg", "1920x1080.png", "1920x1080/a.jpg", "2048/a.jpg", "1080p/a.jpg", "101_0703/DSC_0001.JPG",
        "100CANON/IMG_0001.JPG", "2019-2020/a.jpg", "192.168.2019/a.jpg", "me.jpg", "", "1.2019-07-03.4.jpg",
    ],
)  # fmt: skip
def test_numbers_that_are_no_dates(path: str) -> None:
    assert told(path) is None


def test_future_dates_do_not_count() -> None:
    assert told(f"{date.today().year + 1} plans/a.jpg") is None
    assert told(f"{date.today():%Y%m%d}_000000.jpg") == f"{date.today()}T00:00:00"


def test_names_that_are_not_text() -> None:
    found = date_in_path(b"\xff\xfe 1962-07 It\xe9/2019-07-03 \xff.jpg")
    assert found is not None
    assert found.moment == "2019-07-03T00:00:00"
