"""The registry of sources: adding one is a file here, a line here, and a folder of payloads in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tracker.source import Source
from tracker.sources.aei import EconomicIndex
from tracker.sources.epoch_dc import EpochDataCenters
from tracker.sources.epoch_eci import EpochEci
from tracker.sources.epoch_hub import EpochHub
from tracker.sources.fatebook import Fatebook
from tracker.sources.forecastbench import ForecastBench
from tracker.sources.kalshi import Kalshi
from tracker.sources.manifold import Manifold
from tracker.sources.metaculus import Metaculus
from tracker.sources.metr import Metr
from tracker.sources.mlebench import MleBench
from tracker.sources.polymarket import Polymarket
from tracker.sources.swebench import SweBench

_ALL: tuple[Source, ...] = (
    Metr(),
    Manifold(),
    Metaculus(),
    ForecastBench(),
    Polymarket(),
    Kalshi(),
    Fatebook(),
    EpochHub(),
    EpochEci(),
    EpochDataCenters(),
    SweBench(),
    MleBench(),
    EconomicIndex(),
)

SOURCES: Mapping[str, Source] = MappingProxyType({source.traits.name: source for source in _ALL})

__all__ = ["SOURCES"]
