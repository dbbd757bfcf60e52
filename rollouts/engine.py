"""A vLLM engine in this process behind the sampler interface: `EngineSpec`, `VllmSampler`.

Owns the engine's settings and the translation between our records and vLLM's. Refuses text: token
ids go in, token ids and the logprobs of the distribution that they were drawn from come out.
Invariant: an answer is labelled with the policy that the engine really held when it sampled.
"""

from __future__ import annotations

import asyncio
import os
import platform
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from tooldojo.rollouts.publish import DeliveryReceipt, Prover, delivery_of
from tooldojo.rollouts.records import EngineId
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.rollouts.steploop import Answer, EngineStats, Prepared, StepLoop
from tooldojo.rollouts.updates import PolicyUpdate

if TYPE_CHECKING:
    from vllm import LLMEngine
