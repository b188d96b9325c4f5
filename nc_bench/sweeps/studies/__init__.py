"""One decision rule per question: from the numbers of a study to a verdict on its hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nc_bench.plugins import is_plugin, load_plugin
from nc_bench.sweeps.studies.activations import activations
from nc_bench.sweeps.studies.capacity import capacity
from nc_bench.sweeps.studies.class_imbalance import class_imbalance
from nc_bench.sweeps.studies.class_weights import class_weights
from nc_bench.sweeps.studies.clock import clock
from nc_bench.sweeps.studies.codes import codes
from nc_bench.sweeps.studies.comparison import comparison
from nc_bench.sweeps.studies.depth import depth
from nc_bench.sweeps.studies.depth_of_table import depth_of_table
from nc_bench.sweeps.studies.evidence import Answer, Evidence
from nc_bench.sweeps.studies.fixed_head import fixed_head
from nc_bench.sweeps.studies.generalisation import generalisation
from nc_bench.sweeps.studies.norms import norms
from nc_bench.sweeps.studies.optimisers import optimisers
from nc_bench.sweeps.studies.radius import radius
from nc_bench.sweeps.studies.random_labels import random_labels
from nc_bench.sweeps.studies.random_labels_resnet import random_labels_resnet
from nc_bench.sweeps.studies.train_or_test import train_or_test
from nc_bench.sweeps.studies.width import width
from nc_bench.sweeps.study import COMPARISON, Study

ANSWERS: Mapping[str, Callable[[Evidence], Answer]] = {
    "activations": activations,
    "class_weights": class_weights,
    "capacity": capacity,
    "class_imbalance": class_imbalance,
    "clock": clock,
    "generalisation": generalisation,
    "codes": codes,
    "depth": depth,
    "depth_of_table": depth_of_table,
    "fixed_head": fixed_head,
    "norms": norms,
    "optimisers": optimisers,
    "radius": radius,
    "random_labels": random_labels,
    "random_labels_resnet": random_labels_resnet,
    "train_or_test": train_or_test,
    "width": width,
}
"""The rules of the questions in configs/studies, by the name of the question."""


def rule_of(study: Study) -> Callable[[Evidence], Answer]:
    """The decision rule of a study, a function from `Evidence` to an `Answer`: one of ANSWERS, `comparison`, a plug-in.

    Raises PluginError for a plug-in that cannot be imported or takes other arguments; the rule raises it where the
    plug-in fails or returns something else.
    """
    assert study.answer is not None
    if study.answer == COMPARISON:
        return comparison
    if not is_plugin(study.answer):
        return ANSWERS[study.answer]
    plugin = load_plugin("study.answer", study.answer, study.source)
    keywords = plugin.keywords(study.arguments, positional=1)

    def apply(evidence: Evidence) -> Answer:
        answer = plugin(evidence, **keywords)
        if not isinstance(answer, Answer):
            raise plugin.refused(f"should return an Answer (nc_bench.sweeps.studies), not a {type(answer).__name__}")
        return answer

    return apply
