"""Pictures to patches: the slice plan, Pillow's bicubic resizing and the patch layout of MiniCPM-V 2.6."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image



@dataclass(frozen=True)
class SliceSettings:
    """The fields of preprocessor_config.json that decide how a picture is cut."""

    scale_resolution: int = 448
    patch_size: int = 14
    max_slice_nums: int = 9
    query_num: int = 64


@dataclass(frozen=True)
class SlicePlan:
    """Grid (columns, rows), or None without slices, and the sizes (width, height) to resize the picture to."""

    grid: tuple[int, int] | None
    overview: tuple[int, int]
    refined: tuple[int, int] | None


def _round_to_multiple(length: float, step: int) -> int:
    return max(round(length / step) * step, step)


def _best_size(width: float, height: float, settings: SliceSettings, upscale: bool) -> tuple[int, int]:
    scale = settings.scale_resolution
    if width * height > scale * scale or upscale:
        ratio = width / height
        height = int(scale / math.sqrt(ratio))
        width = int(height * ratio)
    return _round_to_multiple(width, settings.patch_size), _round_to_multiple(height, settings.patch_size)


def _choose_grid(width: int, height: int, settings: SliceSettings) -> tuple[int, int] | None:
    ratio = width * height / (settings.scale_resolution * settings.scale_resolution)
    multiple = min(math.ceil(ratio), settings.max_slice_nums)
    if multiple <= 1:
        return None
    log_ratio = math.log(width / height)
    best, least_error = (1, 1), math.inf
    for count in (multiple - 1, multiple, multiple + 1):
        if count == 1 or count > settings.max_slice_nums:
            continue
        for columns in range(1, count + 1):
            if count % columns == 0:
                error = abs(log_ratio - math.log(columns / (count // columns)))
                if error < least_error:
                    best, least_error = (columns, count // columns), error
    return best


def plan_slices(width: int, height: int, settings: SliceSettings) -> SlicePlan:
    """The original's slice plan for a picture of this size."""
    grid = _choose_grid(width, height, settings)
    if grid is None:
        return SlicePlan(None, _best_size(width, height, settings, upscale=True), None)
    overview = _best_size(width, height, settings, upscale=False)
    columns, rows = grid
    tile_width = _round_to_multiple(width, columns) / columns
    tile_height = _round_to_multiple(height, rows) / rows
    tile = _best_size(tile_width, tile_height, settings, upscale=True)
    return SlicePlan(grid, overview, (tile[0] * columns, tile[1] * rows))


def cut(picture: Image.Image, settings: SliceSettings) -> tuple[list[Image.Image], tuple[int, int] | None]:
    """The overview followed by the slices in row-major order, and the grid."""
    picture = picture.convert("RGB")
    plan = plan_slices(*picture.size, settings)
    slices = [picture.resize(plan.overview, Image.Resampling.BICUBIC)]
    if plan.grid is not None:
        refined = picture.resize(plan.refined, Image.Resampling.BICUBIC)
        columns, rows = plan.grid
        width, height = plan.refined[0] // columns, plan.refined[1] // rows
        for row in range(rows):
            for column in range(columns):
                left, top = column * width, row * height
                slices.append(refined.crop((left, top, left + width, top + height)))
    return slices, plan.grid


def patchify(picture: Image.Image, patch: int) -> tuple[np.ndarray, tuple[int, int]]:
    """uint8 patches [rows * columns, 3 * patch * patch] in row-major order, each in (channel, y, x) order, and the grid."""
    pixels = np.asarray(picture)
    rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
    blocks = pixels.reshape(rows, patch, columns, patch, 3).transpose(0, 2, 4, 1, 3)
    return blocks.reshape(rows * columns, 3 * patch * patch), (rows, columns)


def placeholder(index: int, grid: tuple[int, int] | None, use_image_id: bool, query_num: int) -> str:
    """The text that stands for picture number `index` in the prompt."""
    queries = "<unk>" * query_num
    text = f"<image_id>{index}</image_id>" if use_image_id else ""
    text += f"<image>{queries}</image>"
    if grid is not None:
        columns, rows = grid
        text += "\n".join(f"<slice>{queries}</slice>" * columns for _ in range(rows))
    return text
