"""What is said about GoogLeNet's cost against other networks', held against the counts of all of them."""

from __future__ import annotations

from collections.abc import Mapping

from minicnn.study.summary import Summary
from minicnn.study.text_tables import Column, as_text, shape

GOOGLENET = "GoogLeNet"


def compare_networks(summaries: Mapping[str, Summary]) -> str:
    """Write parameters and operations of some networks at inference, as multiples of GoogLeNet's.

    Parameters
    ----------
    summaries : mapping of str to Summary
        By name; "GoogLeNet" among them. Claims about "AlexNet" and "VGG-16" are checked if they are there.
    """
    ours = summaries[GOOGLENET]
    columns = [
        Column("", left=True), Column("input", left=True),
        *map(Column, ("layers", "parameters", "x GoogLeNet", "multiply-adds", "x GoogLeNet")),
    ]  # fmt: skip
    cells = [
        [
            name,
            shape(summary.input_shape),
            str(summary.depth),
            f"{summary.inference_params:,}",
            f"{summary.inference_params / ours.inference_params:.2f}",
            f"{summary.total_macs:,}",
            f"{summary.total_macs / ours.total_macs:.2f}",
        ]
        for name, summary in summaries.items()
    ]
    return "\n".join(
        [
            "Networks at inference, for one image",
            *(f"  {line}" for line in as_text(columns, cells)),
            *(f"  {line}" for line in _claims(ours, summaries)),
        ]
    )


def _claims(ours: Summary, summaries: Mapping[str, Summary]) -> list[str]:
    claims = []
    if alexnet := summaries.get("AlexNet"):
        fewer = alexnet.inference_params / ours.inference_params
        claims.append(
            f'"12 times fewer parameters than AlexNet": {"right" if round(fewer) == 12 else "no"}, '
            f"{alexnet.inference_params:,} / {ours.inference_params:,} = {fewer:.1f} times"
        )
        claims.append(_more_operations("AlexNet", ours, alexnet))
    if vgg := summaries.get("VGG-16"):
        claims.append(_more_operations("VGG", ours, vgg))
    return claims


def _more_operations(name: str, ours: Summary, other: Summary) -> str:
    if ours.total_macs > other.total_macs:
        return f'"more operations than {name}": right, {ours.total_macs / other.total_macs:.1f} times as many'
    return (
        f'"more operations than {name}": no, {other.total_macs / ours.total_macs:.1f} times fewer '
        f"({ours.total_macs / 1e9:.1f}G against {other.total_macs / 1e9:.1f}G)"
    )
