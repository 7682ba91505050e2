"""Image files as people see them: a table of kinds of file, and what their pixels are."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms

from minivit.data import DataError
from minivit.data.decode import decode

RNG = np.random.default_rng(0)
WIDE = RNG.integers(256, size=(3, 5, 3), dtype=np.uint8)


def saved(image, kind, **options):
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def png(depth, colour_type, width, row, transparent=None, palette=None):
    """A PNG of one row in a depth that Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0))
            + (chunk(b"PLTE", palette) if palette else b"") + (chunk(b"tRNS", transparent) if transparent else b"")
            + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b""))


def tiff(bits, photometric, sample_format, width, data, order="<"):
    """A TIFF of one row and one channel."""
    short, long = 3, 4
    tags = [(256, long, width), (257, long, 1), (258, short, bits), (259, short, 1), (262, short, photometric),
            (273, long, 8), (277, short, 1), (278, long, 1), (279, long, len(data)), (339, short, sample_format)]
    data += b"\0" * (len(data) % 2)
    entries = b"".join(struct.pack(order + ("HHIHH" if kind == short else "HHII"), tag, kind, 1, value,
                                   *([0] if kind == short else [])) for tag, kind, value in tags)
    return ((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data)) + data
            + struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0))


def row(data, **options):
    return np.asarray(decode(data, **options))[0].tolist()


def grey(*values):
    return [[value] * 3 for value in values]


RED, WHITE, RED_BLUE = [255, 0, 0], [255, 255, 255], np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)


def tiff_with_palette_of_8_bits():
    data = saved(Image.fromarray(RED_BLUE).quantize(2), "TIFF")
    palette = Image.open(io.BytesIO(data)).tag_v2[320]
    kind = f"<{len(palette)}H"
    return data.replace(struct.pack(kind, *palette), struct.pack(kind, *(value // 256 for value in palette)))


@pytest.mark.parametrize(("data", "pixels"), [
    pytest.param(saved(Image.fromarray(np.array([[0, 1]], bool)), "PNG"), grey(0, 255), id="1 bit"),
    pytest.param(png(2, 0, 4, bytes([0b00011011])), grey(0, 85, 170, 255), id="2 bits"),
    pytest.param(png(4, 0, 4, bytes([0x01, 0xF5])), grey(0, 17, 255, 85), id="4 bits"),
    pytest.param(png(16, 0, 3, struct.pack(">3H", 0, 128 * 257 + 128, 65535)), grey(0, 128, 255), id="16 bits"),
    pytest.param(tiff(16, 1, 1, 2, struct.pack("<2H", 257 * 7, 65535)), grey(7, 255), id="16 bits, little end first"),
    pytest.param(tiff(16, 1, 1, 2, struct.pack(">2H", 257 * 7, 65535), ">"), grey(7, 255), id="16 bits, big end first"),
    pytest.param(tiff(16, 0, 1, 2, struct.pack("<2H", 257 * 7, 65535)), grey(248, 0), id="16 bits, zero is white"),
    pytest.param(saved(np.array([[257 * 7, 65535]], np.uint16), "TIFF", tiffinfo={262: 0}, compression="tiff_lzw"),
                 grey(248, 0), id="16 bits, zero is white, compressed"),
    pytest.param(saved(np.array([[257 * 7, 65535]] * 2, np.uint16), "JPEG2000"), grey(7, 255), id="JPEG 2000, 16 bits"),
    pytest.param(tiff(8, 0, 1, 2, bytes([7, 255])), grey(248, 0), id="8 bits, zero is white"),
    pytest.param(tiff(12, 1, 1, 2, bytes([0x80, 0x0F, 0xFF])), grey(128, 255), id="12 bits"),
    pytest.param(b"P5 3 1 65535 " + struct.pack(">3H", 0, 257 * 7, 65535), grey(0, 7, 255), id="PGM of 16 bits"),
    pytest.param(b"P5 3 1 1023 " + struct.pack(">3H", 0, 512, 1023), grey(0, 128, 255), id="PGM of 10 bits"),
    pytest.param(tiff(32, 1, 3, 3, struct.pack("<3f", 0, 0.2, 1)), grey(0, 51, 255), id="floats from 0 to 1"),
    pytest.param(tiff(32, 0, 3, 2, struct.pack("<2f", 0, 0.2)), grey(255, 204), id="floats, zero is white"),
    pytest.param(png(16, 2, 1, struct.pack(">3H", 257 * 3, 65535, 0)), [[3, 255, 0]], id="16 bits a colour"),
    pytest.param(saved(Image.fromarray(RED_BLUE).quantize(2), "PNG"), RED_BLUE[0].tolist(), id="palette"),
    pytest.param(saved(Image.fromarray(RED_BLUE).quantize(2), "TIFF"), RED_BLUE[0].tolist(), id="palette in TIFF"),
    pytest.param(tiff_with_palette_of_8_bits(), RED_BLUE[0].tolist(), id="palette in TIFF, of 8 bits"),
    pytest.param(saved(Image.fromarray(RED_BLUE).quantize(2), "GIF"), RED_BLUE[0].tolist(), id="GIF"),
    pytest.param(saved(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "TIFF"), [RED], id="CMYK"),
    pytest.param(saved(Image.new("RGBX", (1, 1), (255, 0, 0, 0)), "TIFF"), [RED], id="RGBX"),
    # transparency, on white
    pytest.param(saved(np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [0, 100, 0, 51]]], np.uint8), "PNG"),
                 [WHITE, [0, 0, 0], [204, 224, 204]], id="RGBA"),
    pytest.param(saved(np.array([[[0, 0, 0, 0], [255, 0, 0, 255]]], np.uint8), "WEBP", lossless=True, exact=True),
                 [WHITE, RED], id="RGBA in WebP"),
    pytest.param(saved(np.array([[[0, 0], [0, 255], [100, 51]]], np.uint8), "PNG"), grey(255, 0, 224), id="LA"),
    pytest.param(saved(np.array([[[255, 0, 0, 0]]], np.uint8), "TGA"), [RED], id="TGA, opacity left empty"),
    pytest.param(saved(np.array([[[255, 0, 0, 0], [255, 0, 0, 255]]], np.uint8), "TGA"), [WHITE, RED], id="TGA"),
    pytest.param(png(16, 4, 2, struct.pack(">4H", 0, 0, 257 * 7, 65535)), grey(255, 7), id="LA of 16 bits"),
    pytest.param(png(8, 3, 3, bytes([0, 1, 2]), bytes([0, 255, 51]), bytes([0, 0, 0, 255, 0, 0, 0, 100, 0])),
                 [WHITE, RED, [204, 224, 204]], id="palette, levels of transparency"),
    pytest.param(png(8, 3, 2, bytes([0, 1]), bytes([255, 0]), bytes([255, 0, 0, 0, 0, 0])), [RED, WHITE],
                 id="palette, one transparent"),
    pytest.param(saved(Image.fromarray(RED_BLUE).quantize(2), "GIF", transparency=0),
                 [WHITE if index == 0 else pixel for index, pixel in
                  zip(np.asarray(Image.fromarray(RED_BLUE).quantize(2))[0], RED_BLUE[0].tolist(), strict=True)],
                 id="GIF, one transparent"),
    pytest.param(png(8, 2, 2, bytes([255, 0, 0, 0, 0, 0]), struct.pack(">3H", 0, 0, 0)), [RED, WHITE], id="RGB, one"),
    pytest.param(png(1, 0, 8, bytes([0b10000000]), struct.pack(">H", 1)), grey(255, *[0] * 7), id="1 bit, white is"),
    pytest.param(png(1, 0, 8, bytes([0b10000000]), struct.pack(">H", 0)), grey(*[255] * 8), id="1 bit, black is"),
    pytest.param(png(2, 0, 4, bytes([0b00011011]), struct.pack(">H", 1)), grey(0, 255, 170, 255), id="2 bits, one"),
    pytest.param(png(4, 0, 4, bytes([0x01, 0xF5]), struct.pack(">H", 5)), grey(0, 17, 255, 255), id="4 bits, one"),
    pytest.param(png(8, 0, 2, bytes([5, 6]), struct.pack(">H", 5)), grey(255, 6), id="8 bits, one"),
    pytest.param(png(16, 0, 3, struct.pack(">3H", 1000, 1001, 0), struct.pack(">H", 1000)), grey(255, 4, 0),
                 id="16 bits, one"),
])
def test_pixels(data, pixels):
    assert row(data) == pixels


@pytest.mark.parametrize(("mode", "kind", "colour"), [
    ("LAB", "TIFF", (138, 209, 198)), ("YCbCr", "TIFF", (76, 85, 255)), ("CMYK", "JPEG", (0, 255, 255, 0))])
def test_other_colour_spaces(mode, kind, colour):
    """All of them are red; LAB's a and b begin at 128. A CMYK JPEG is stored upside down, as Adobe does."""
    assert np.abs(np.array(row(saved(Image.new(mode, (8, 8), colour), kind)))[0] - RED).max() <= 6


@pytest.mark.parametrize(("data", "what"), [
    (tiff(32, 1, 3, 2, struct.pack("<2f", 0, 255)), "floating-point numbers from 0 to 255 (mode F, TIFF)"),
    (tiff(32, 1, 3, 2, struct.pack("<2f", 0, float("nan"))), "floating-point numbers from nan"),
    (tiff(32, 1, 1, 2, struct.pack("<2I", 0, 255)), "32-bit integers (mode I, TIFF)"),
    (tiff(16, 1, 2, 2, struct.pack("<2h", -5, 255)), "signed integers (mode I, TIFF)"),
    (tiff(8, 1, 2, 2, bytes([255, 127])), "signed integers (mode L, TIFF)"),
    (png(16, 2, 1, struct.pack(">3H", 1, 2, 3), struct.pack(">3H", 1, 2, 3)), "16-bit colours of which one"),
])
def test_pixels_without_a_stated_range_are_refused(tmp_path, data, what):
    (tmp_path / "odd.tif").write_bytes(data)
    with pytest.raises(DataError) as error:
        decode(tmp_path / "odd.tif")
    assert str(error.value).startswith(f"{tmp_path / 'odd.tif'} holds {what}") and "save" in str(error.value)


def test_the_ground_is_an_option():
    assert row(saved(np.array([[[9, 9, 9, 0], [255, 255, 255, 102]]], np.uint8), "PNG"), background=(10, 20, 30)) == [
        [10, 20, 30], [108, 114, 120]]


UPRIGHT = {1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
           5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
           8: np.rot90}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "JPEG", "MPO"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(kind, orientation):
    blocks = np.kron(WIDE // 32 * 32, np.ones((16, 16, 1), np.uint8))   # for lossy files
    tags = Image.Exif()
    tags[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {} if kind in ("PNG", "TIFF") else {"quality": 100,
                                                                                            "subsampling": "4:4:4"}
    seen = np.asarray(decode(saved(blocks, kind, exif=tags, **options))).astype(int)
    right = UPRIGHT[orientation](blocks)
    assert seen.shape == right.shape and np.abs(seen - right).max() <= 12


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no exif at all",
                                  b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
                                  b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x07\0\0\0\xff\0\0"])
@pytest.mark.filterwarnings("ignore::UserWarning")   # Pillow's
def test_a_damaged_block_of_exif_does_not_matter(exif):
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {})):
        assert decode(saved(WIDE, kind, exif=exif, **options)).size == (5, 3)


def profile_of_swapped_channels():
    """sRGB whose red and blue have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * struct.unpack(">I", profile[128:132])[0], 12):
        if profile[at:at + 4] in (b"rXYZ", b"bXYZ"):
            profile[at:at + 4] = b"bXYZ" if profile[at:at + 4] == b"rXYZ" else b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))


def profile_of_linear_grey():
    """Grey whose numbers are proportional to the light; of the smallest kind."""
    def xyz(x, y, z):
        return struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))

    tags = {b"desc": b"desc" + struct.pack(">II", 0, 5) + b"mine\0" + bytes(79), b"kTRC": b"curv" + bytes(8),
            b"wtpt": b"XYZ " + bytes(4) + xyz(0.9642, 1, 0.8249)}
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    head = (struct.pack(">I4sI4s4s4s", offset + len(data), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ") + bytes(12)
            + b"acsp" + bytes(28) + xyz(0.9642, 1, 0.8249))
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data


def test_a_profile_of_grey_is_applied():
    """Linear light v shows as sRGB 1.055 v^(1/2.4) - 0.055, with opacity or without."""
    values, right = np.array([[0, 55, 128, 255]], np.uint8), [0, 128, 188, 255]
    profile = profile_of_linear_grey()
    assert np.abs(np.array(row(saved(values, "PNG", icc_profile=profile))) - np.array(grey(*right))).max() <= 1
    clear = np.stack([values, np.array([[255, 255, 255, 255]], np.uint8)], axis=-1)
    assert np.abs(np.array(row(saved(clear, "PNG", icc_profile=profile))) - np.array(grey(*right))).max() <= 1


def test_threads_share_a_profile():
    images = [RNG.integers(256, size=(29, 31, 3), dtype=np.uint8) for _ in range(23)]
    files = [saved(image, "PNG", icc_profile=profile_of_swapped_channels()) for image in images]
    with ThreadPoolExecutor(7) as pool:
        for image, seen in zip(images, pool.map(decode, files), strict=True):
            assert np.array_equal(np.asarray(seen), image[..., ::-1])


def test_a_colour_profile_is_applied():
    swapped = profile_of_swapped_channels()
    assert row(saved(RED_BLUE, "PNG", icc_profile=swapped)) == RED_BLUE[0, ::-1].tolist()
    clear = np.concatenate([RED_BLUE, [[[255], [0]]]], axis=2).astype(np.uint8)
    assert row(saved(clear, "PNG", icc_profile=swapped)) == [[0, 0, 255], WHITE]


@pytest.mark.parametrize("profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"damaged",
                                     profile_of_swapped_channels()[:200]])
def test_a_profile_that_says_nothing_is_passed_over(profile):
    assert row(saved(WIDE, "PNG", icc_profile=profile)) == WIDE[0].tolist()
    assert row(saved(WIDE[..., 0].copy(), "PNG", icc_profile=profile_of_swapped_channels())) == grey(*WIDE[0, :, 0])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_picture_of_several(kind):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue", "white")]
    options = {"lossless": True} if kind == "WEBP" else {}
    assert row(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))[0] == RED


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "JPEG2000", "AVIF"])
def test_a_truncated_file_is_named(tmp_path, kind):
    noise = RNG.integers(256, size=(61, 67, 3), dtype=np.uint8)
    data = saved(noise, kind)
    assert decode(data).size == (67, 61)
    (tmp_path / "a.jpg").write_bytes(data[:len(data) * 2 // 3])
    with pytest.raises(DataError, match=r"a\.jpg cannot be read as an image \(.+\): replace it or delete it"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize(("content", "why"), [
    (b"", "it is empty"), (b"<!DOCTYPE html><html>", r"begins with b'<!DOCTYPE html>"),
    (b"version https://git-lfs.github.com/spec/v1", "begins with b'version https://'")])
def test_what_is_no_image_is_named(tmp_path, content, why):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.png cannot be read as an image .*{why}"):
        decode(tmp_path / "a.png")
    with pytest.raises(DataError, match=rf"member 7 cannot be read as an image .*{why}"):
        decode(content, name="member 7")


def test_files_that_cannot_be_opened(tmp_path):
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "gone.png", "No such file")):
        with pytest.raises(DataError, match=rf"{path} cannot be read: {why}"):
            decode(path)


def test_pillows_limit_is_told_by_name(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    with pytest.raises(DataError, match=r"15 pixels.* limit of 14 .*PIL\.Image\.MAX_IMAGE_PIXELS"):
        decode(saved(WIDE, "PNG"))


def test_the_suffix_does_not_matter_and_jpegs_may_be_progressive(tmp_path):
    blocks = np.kron(WIDE, np.ones((8, 8, 1), np.uint8))
    plain, progressive = (saved(blocks, "JPEG", progressive=how) for how in (False, True))
    (tmp_path / "möwe 1.png").write_bytes(progressive)
    assert np.array_equal(decode(tmp_path / "möwe 1.png"), decode(plain))
