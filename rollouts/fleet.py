"""The driver's side of playing: `Fleet` starts workers, routes groups, publishes, replaces.

Owns what becomes of a lost worker. Refuses threads: one thread of the driver uses a fleet.
Invariant: a group is settled by exactly one worker; one that was lost with its worker is played
again, whole, under the same seeds.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.judging import Judge
from tooldojo.envs.task import IssuedTask
from tooldojo.envs.users import User
from tooldojo.rollouts.cluster import (
    FleetError,
    check_gpus,
    check_machine,
    on_cluster,
    start_ray,
    threads_per_worker,
)
from tooldojo.rollouts.engine import choose_transport, engine_spec
from tooldojo.rollouts.interrupts import uninterrupted
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.publish import BASE, DeliveryReceipt
from tooldojo.rollouts.records import EngineId, Group
from tooldojo.rollouts.sampler import EngineLost
from tooldojo.rollouts.scheduler import HOPELESS, Job, Scheduler, given_up
from tooldojo.rollouts.simulated import SimulatedSpec
from tooldojo.rollouts.steploop import EngineStats
from tooldojo.rollouts.stream import WAITING, FleetView, GroupStream, play_through
from tooldojo.rollouts.updates import DeliveryError, PolicyUpdate
from tooldojo.rollouts.worker import RolloutWorker
from tooldojo.verifiers.reward import RewardShape

if TYPE_CHECKING:
    from ray import ObjectRef

LOG = logging.getLogger(__name__)
_START = 900.0  # seconds in which a worker must have loaded its model
_DELIVERY = 3.0  # deadlines that a delivery may take: it waits for turns under way, then proves
_PARTING = 5.0  # seconds in which engines may end what they are in when the fleet closes
_DUMPED = 20  # stuck trajectories of a worker that are logged
_CALLS = 100_000  # open at once in a worker; of Ray's own 1,000, groups in line would leave none
_PATIENCE = 20.0  # seconds without a finished group before the workers are asked whether they live


@dataclass(slots=True, eq=False)
class _Seat:
    """A worker; engine is None until it answered first."""

    handle: Any  # Ray's proxy of a RolloutWorker
    ready: ObjectRef
    engine: EngineId | None = None


class Fleet:
    """Rollout workers behind a plain synchronous face.

    Workers start in the background; the first use waits for them. `transport` says how policies
    reach them, `policy` which one they hold, `replaced` why workers were replaced so far.
    """

    def __init__(
        self,
        section: RolloutSection,
        model: str | Path,
        call_format: str,
        worlds: Sequence[str],
        run_seed: int,
        *,
        shape: RewardShape | None = None,
        judge: Judge | None = None,
        user: User | None = None,
        lora_rank: int = 32,
        prefix_caching: bool = True,
        replacements: int | None = None,
        threads: int = 0,
        deterministic: bool = False,
        simulated: SimulatedSpec | None = None,
    ) -> None:
        """replacements: how many workers may be lost between two publishes; None allows `HOPELESS`
        and one per worker. threads: of each engine, 0 for its share of this machine.
        deterministic: play in lockstep, one block of `max_inflight` trajectories after the other,
        without a prefix cache; `section` must be a recipe's that `configs.deterministic` has
        passed. simulated: engines without a model instead of vLLM.
        """
        self.section, self.policy, self.replaced = section, BASE, list[str]()
        self.transport = choose_transport(section)
        limits = Limits.of(section)
        self.settings = PlaySettings(limits, shape or RewardShape(), run_seed, judge, user)
        self._budget = HOPELESS + section.workers if replacements is None else replacements
        self._losses, self._threads = 0, threads
        spec = engine_spec(section, model, self.transport, lora_rank, prefix_caching, deterministic)
        share = -(-section.max_inflight // section.workers)
        self._arguments = (simulated or spec, call_format, tuple(worlds), share)
        self._update: ObjectRef | None = None
        self._seen: dict[EngineId, None] = {}
        self._used: dict[str, EngineStats] = {}
        self._scheduler: Scheduler[ObjectRef] = Scheduler(section.workers)
        check_machine(section, Path(model))
        self._owns_ray = start_ray(Path(model))
        try:
            check_gpus(section)
            self._seats = [self._open() for _ in range(section.workers)]
        except BaseException:
            self._end_ray()
            raise

    # Playing

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Generator[Group, None, None]:
        """Groups as they finish, in any order, with the fleet's current policy.

        Tasks are drawn from `issued` a little before there is room for them. Closing the iterator
        early abandons what still runs.
        """
        return play_through(self.stream(group_size), issued)

    def at(self, temperature: float | None = None, run_seed: int | None = None) -> FleetView:
        """The same fleet under another temperature or run seed, say for an evaluation."""
        return FleetView.of(self, temperature, run_seed)

    def stream(
        self, group_size: int, settings: PlaySettings | None = None, ahead: bool = False
    ) -> GroupStream:
        """Groups from tasks that are put in over time.

        ahead: workers get tasks before they have room for them, so that they go on while the driver
        is busy with something else.
        """
        limit = None if ahead else self.section.max_inflight * (1 if self._lockstep else WAITING)
        at_once = self._at_once(group_size)
        return GroupStream(self, group_size, settings or self.settings, limit, at_once)

    def publish(self, update: PolicyUpdate) -> tuple[DeliveryReceipt, ...]:
        """Deliver a policy to every worker and prove it. With eta = 0, groups that run end first.

        Raises:
            DeliveryError: when a worker does not hold the policy; the run must stop.
        """
        import ray

        while self.section.eta == 0 and self._scheduler.tickets:
            self.pump(wait=True)
        seats = [self._ready(seat) for seat in self._seats]
        self._update, self.policy = ray.put(update), update.ref
        sent = [(seat, seat.handle.publish.remote(self._update)) for seat in seats]
        receipts = [self._receipt(seat, receipt) for seat, receipt in sent]
        self._losses = 0
        return tuple(receipt for receipt in receipts if receipt is not None)

    def stats(self) -> tuple[EngineStats, ...]:
        """Each engine's counters since it started."""
        import ray

        return tuple(ray.get([self._ready(seat).handle.stats.remote() for seat in self._seats]))

    def usage(self) -> EngineStats:
        """All engines together since the last call; one that does not answer at once counts later,
        one that was lost not at all.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        total = EngineStats()
        for seat in self._seats:
            if seat.engine is None:
                continue
            with suppress(RayError, GetTimeoutError):
                asked: ObjectRef[EngineStats] = seat.handle.stats.remote()
                now = ray.get(asked, timeout=_PARTING)
                before = self._used.get(seat.engine.engine, EngineStats())
                total, self._used[seat.engine.engine] = total + now.since(before), now
        return total

    @property
    def engines(self) -> tuple[EngineId, ...]:
        """Who plays now; waits until all can."""
        ready = [self._ready(seat).engine for seat in self._seats]
        return tuple(engine for engine in ready if engine is not None)

    @property
    def engines_so_far(self) -> tuple[EngineId, ...]:
        """Who can have played: all that ever answered, the replaced ones too; waits for none."""
        return tuple(self._seen)

    def close(self) -> None:
        """Stop the workers, and Ray where this fleet started it."""
        import ray
        from ray.exceptions import RayError

        with uninterrupted():
            started = [seat for seat in self._seats if seat.engine is not None]
            with suppress(RayError, TimeoutError):  # they are gone already, or will be now
                ray.get([seat.handle.stop.remote() for seat in started], timeout=_PARTING)
            for seat in self._seats:
                ray.kill(seat.handle)
            self._seats = []
            self._end_ray()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # What streams ask for

    def start(self, job: Job) -> None:
        """Give groups to the least loaded worker; they stay there."""
        if job.losses >= HOPELESS and not self._lockstep:
            why = f"{job.losses} workers were lost while they played it; {self.replaced[-1]}"
            last = self.engines_so_far[-1]
            job.done.extend(given_up(each, job, last, self.policy, why) for each in job.issued)
            self._send(self._scheduler.next_suspect())
        else:
            self._send(job if self._lockstep else self._scheduler.admit(job))

    def _send(self, job: Job | None) -> None:
        if job is None:
            return
        seat = self._scheduler.least_loaded()
        handle = self._ready(self._seats[seat]).handle
        play = handle.play.remote(job.issued, job.group_size, job.settings, self.policy)
        self._scheduler.started(play, job, seat)

    def pump(self, wait: bool) -> None:
        """Put the groups of finished jobs where they belong; `wait`: until there are any."""
        import ray

        running = self._scheduler.tickets
        if not running:
            return
        done, _ = ray.wait(running, num_returns=len(running), timeout=0)
        if not done and wait:
            done, _ = ray.wait(running, num_returns=1, timeout=_PATIENCE)
            if not done:
                self._check_alive()
        for play in done:
            if play not in self._scheduler:
                continue  # lost with a worker that was replaced just now
            try:
                groups = ray.get(play)
            except _losses() as error:
                self._replace(self._seats[self._scheduler.seat_of(play)], _why(error))
            else:
                self._scheduler.ended(play).done.extend(groups)
        self._send(self._scheduler.next_suspect())

    def abandon(self, done: deque[Group]) -> None:
        """Stop the jobs whose groups go to `done`."""
        import ray

        for play in self._scheduler.abandon(done):
            ray.cancel(play)
        self._send(self._scheduler.next_suspect())  # it may have waited for one of these

    def _at_once(self, group_size: int) -> int:
        """Groups per job: lockstep needs all that play at once in one."""
        return max(1, self.section.max_inflight // group_size) if self._lockstep else 1

    @property
    def _lockstep(self) -> bool:
        return self._arguments[0].deterministic

    # Workers

    def _open(self) -> _Seat:
        import ray

        section, spec = self.section, self._arguments[0]
        variables = spec.environment()
        if self._threads or not on_cluster():
            threads = self._threads or threads_per_worker(section.workers)
            variables["OMP_NUM_THREADS"] = str(threads)
        actor: Any = ray.remote(RolloutWorker)
        handle = actor.options(
            num_cpus=1 if on_cluster() else 0,
            num_gpus=section.gpus_per_worker,
            max_concurrency=_CALLS,
            runtime_env={"env_vars": variables},
            scheduling_strategy="SPREAD",
        ).remote(*self._arguments)
        return _Seat(handle, handle.ready.remote())

    def _ready(self, seat: _Seat) -> _Seat:
        """The seat once its engine answers; another one where its process died meanwhile."""
        import ray
        from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError

        while seat.engine is None:
            place = self._seats.index(seat)
            try:
                engine: EngineId = ray.get(seat.ready, timeout=_START)
            except (RayActorError, OutOfMemoryError) as error:
                if isinstance(error, RayActorError) and not error.actor_init_failed:
                    self._replace(seat, _why(error))  # killed from outside, before it could play
                    seat = self._seats[place]
                    continue
                raise FleetError(f"a rollout worker cannot start: {_last_line(error)}") from error
            except GetTimeoutError:
                raise FleetError(f"a rollout worker did not start within {_START:g} s") from None
            seat.engine = engine
            self._seen[engine] = None
        return seat

    def _receipt(self, seat: _Seat, receipt: ObjectRef) -> DeliveryReceipt | None:
        import ray
        from ray.exceptions import GetTimeoutError, RayTaskError

        try:
            return ray.get(receipt, timeout=_DELIVERY * self.section.deadline)
        except (*_losses(), GetTimeoutError) as error:
            return self._replace(seat, _why(error))
        except RayTaskError as error:
            if isinstance(error.cause, DeliveryError):
                raise error.cause from None  # its one line says all; Ray's traceback says nothing
            raise

    def _replace(self, seat: _Seat, why: str) -> DeliveryReceipt | None:
        """Start another worker, bring it to the current policy, and play the lost groups again."""
        import ray

        if seat not in self._seats:
            return None
        place = self._seats.index(seat)
        jobs = self._scheduler.lost(place)
        ray.kill(seat.handle)
        self.replaced.append(f"{seat.engine.engine if seat.engine else 'a new worker'}: {why}")
        self._losses += 1
        if self._losses > self._budget:
            raise FleetError(
                f"{self._losses} rollout workers were lost, which is more than chance: "
                f"{'; '.join(self.replaced[-3:])}. Look for memory pressure or a crashing world"
            )
        new = self._seats[place] = self._open()
        receipt = None
        self._ready(new)
        if self._update is not None:
            receipt = self._receipt(new, new.handle.publish.remote(self._update))
        for job in jobs:
            self.start(job)
        return receipt

    def _check_alive(self) -> None:
        """Ask every worker that ever answered what it is at; one that does not answer within the
        deadline is replaced.

        What has waited for longer than the deadline goes to the log, longest first.
        """
        import ray
        from ray.exceptions import GetTimeoutError

        deadline = self.section.deadline
        for seat in list(self._seats):
            if seat.engine is None:
                continue  # it may still be loading, for which `_ready` has its own patience
            try:
                stuck = ray.get(seat.handle.under_way.remote(deadline), timeout=deadline)
            except (*_losses(), GetTimeoutError) as error:
                self._replace(seat, _why(error))
            else:
                for line in stuck[:_DUMPED]:
                    LOG.warning("%s: %s", seat.engine.engine, line)

    def _end_ray(self) -> None:
        import ray

        if self._owns_ray:
            ray.shutdown()


def _losses() -> tuple[type[Exception], ...]:
    """What says that a worker is gone, or what it left in the store of a node that is."""
    from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError

    return RayActorError, OutOfMemoryError, ObjectLostError, EngineLost


def _why(error: BaseException) -> str:
    """One line for a lost worker; Ray's own text runs over a dozen."""
    if isinstance(error, EngineLost):
        return _last_line(error)
    return f"its process died or does not answer ({type(error).__name__})"


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
