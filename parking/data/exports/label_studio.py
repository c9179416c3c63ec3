"""Label Studio's JSON export: polygons in percent of the image."""

from typing import Any

from parking.data.exports.annotation import (
    Annotation,
    Unusable,
    file_name,
    means_free,
    outline,
)
from parking.data.polygons import Ring


def read(document: Any) -> list[Annotation]:  # noqa: ANN401 - JSON
    """Annotations of an export; a task without any is still waiting, and has none."""
    tasks = document if isinstance(document, list) else [document]
    return [found for task in tasks if (found := _task(task))]


def _task(task: dict[str, Any]) -> Annotation | None:
    kept = [annotation for annotation in task["annotations"] if not annotation.get("was_cancelled")]
    if not kept:
        return None
    # Of several opinions on one image the reviewed one counts, else the last: mixing them would draw places twice.
    chosen = next((one for one in reversed(kept) if one.get("ground_truth")), kept[-1])
    notes = (f"{len(kept) - 1} further annotations of this image were not used",) if len(kept) > 1 else ()
    problems: list[str] = []
    rings: list[Ring] = []
    sizes: list[tuple[int, int]] = []
    for result in chosen["result"]:
        if "original_width" in result:
            sizes.append((int(result["original_width"]), int(result["original_height"])))
        if result.get("type") in ("choices", "rating", "textarea"):
            continue
        try:
            rings += _polygon(result)
        except Unusable as reason:
            problems.append(str(reason))
    who = chosen.get("completed_by")
    who = who.get("id") if isinstance(who, dict) else who
    size = sizes[0] if sizes else None
    return Annotation(_image_name(task), f"label-studio:{who}", tuple(rings), size, tuple(problems), notes)


def _polygon(result: dict[str, Any]) -> list[Ring]:
    """The outline of a free place; nothing for a place that is taken."""
    kind, value = result.get("type"), result["value"]
    if kind != "polygonlabels":
        raise Unusable(f"a region of type '{kind}' is not a polygon")
    if not means_free(value.get("polygonlabels", ())):
        return []
    if result.get("image_rotation"):
        raise Unusable(f"the image was turned by {result['image_rotation']} degrees while it was annotated")
    across, down = result["original_width"] / 100, result["original_height"] / 100
    return [outline((x * across, y * down) for x, y in value["points"])]


def _image_name(task: dict[str, Any]) -> str:
    """Of the file as Label Studio keeps it: uploads have a prefix there, which files elsewhere may lack."""
    data = task["data"]
    address = data.get("image") or next((value for value in data.values() if isinstance(value, str)), "")
    return file_name(address) or file_name(task.get("file_upload") or "")
