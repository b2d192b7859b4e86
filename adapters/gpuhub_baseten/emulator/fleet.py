"""Starts, feeds and stops the replicas of a deployment."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub.testing.emulator.workers import cold_start_after
from gpuhub_baseten.emulator.logs import ReplicaOutput
from gpuhub_baseten.emulator.problems import Problem
from gpuhub_baseten.emulator.state import Deployment, Replica, Startup, Visit

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.machines import Machine
    from gpuhub_baseten.emulator.site import Site

__all__ = ["Fleet"]

_TOLERANCE = 1e-9
_LONGEST_PAUSE_S = 300.0


class Fleet:
    """The replicas of all deployments. Every method needs the lock.

    Args:
        site: What all parts share.
        folder: For what replicas print.
        make: Makes the machine of a replica; it tells of its end by calling what it is given.
        watch: Called with a replica whose code was started: tells when it answers.
        arrived: Called with a deployment whose first replica answers.
        failed: Called with a deployment none of whose replicas ever answers.
    """

    def __init__(
        self,
        site: Site,
        folder: Path,
        make: Callable[[Deployment, Replica, Callable[[int], None]], Machine],
        watch: Callable[[Deployment, Replica], None],
        arrived: Callable[[Deployment], None],
        failed: Callable[[Deployment], None],
    ) -> None:
        self._site = site
        self._folder = folder
        self._make = make
        self._watch = watch
        self._arrived = arrived
        self._failed = failed

    # Requests

    def admit(self, deployment: Deployment, visit: Visit) -> None:
        """Put a request into the queue; replicas start for it."""
        at = next(
            (
                index
                for index, other in enumerate(deployment.queue)
                if other.priority > visit.priority
            ),
            len(deployment.queue),
        )
        deployment.queue.insert(at, visit)
        self.go_on(deployment)

    def leave(self, deployment: Deployment, visit: Visit) -> None:
        """Take a request away, wherever it is; done, or given up."""
        if visit in deployment.queue:
            deployment.queue.remove(visit)
        if visit.timer is not None:
            visit.timer.cancel()
        replica = visit.replica
        if replica is not None and replica.visits.pop(visit.id, None) is not None:
            if visit.is_real:
                visit.is_real = False
                self._site.ended()
            if not replica.visits and not replica.is_stopped:
                self._rest(deployment, replica)
        self.go_on(deployment)

    def go_on(self, deployment: Deployment) -> None:
        """Hand out requests and have as many replicas as there should be."""
        self._dispatch(deployment)
        self.scale(deployment)
        self._dispatch(deployment)
        self._site.note()

    def refuse_all(self, deployment: Deployment, problem: Callable[[], Problem]) -> None:
        """Answer all requests of a deployment that is going away."""
        waiting = list(deployment.queue)
        running = [each for one in deployment.replicas.values() for each in one.visits.values()]
        deployment.queue.clear()
        for visit in (*waiting, *running):
            visit.problem = problem()
        self._site.note()

    # Replicas

    def scale(self, deployment: Deployment, *, at_least: int = 0) -> None:
        """Start what is missing; stop what is above the maximum."""
        if deployment.phase != "LIVE" or self._site.now() < deployment.resting_until - _TOLERANCE:
            return
        active = _active(deployment)
        most = int(deployment.autoscaling["max_replica"])
        wanted = min(most, max(at_least, self._wanted(deployment, len(active))))
        for _ in range(wanted - len(active)):
            self._start(deployment)
        if len(active) > most:
            now = self._site.now()
            spare = sorted(active, key=lambda each: (bool(each.visits), each.is_ready(now)))
            for replica in spare[: len(active) - most]:
                self.retire(deployment, replica)

    def stop_all(self, deployment: Deployment, *, gently: bool) -> None:
        """Stop all replicas: now, or each after its last request."""
        for replica in list(deployment.replicas.values()):
            if gently:
                self.retire(deployment, replica)
            else:
                self.stop(deployment, replica)

    def retire(self, deployment: Deployment, replica: Replica) -> None:
        """Stop a replica: now, or after its last request."""
        if replica.visits:
            replica.is_draining = True
        else:
            self.stop(deployment, replica)

    def stop(self, deployment: Deployment, replica: Replica) -> None:
        """Stop a replica, whatever it does."""
        if replica.is_stopped:
            return
        replica.is_stopped = True
        replica.end_all()
        for visit in list(replica.visits.values()):
            self._lose(replica, visit)
        deployment.replicas.pop(replica.id, None)
        self._site.meter.stop(replica.id, self._site.now())
        if replica.machine is not None:
            replica.machine.stop()
        deployment.log.leave(replica.output)
        deployment.log.say("replica stopped", replica=replica.id)
        self._site.note()

    def booted(self, deployment: Deployment, replica: Replica) -> None:
        """Note that a replica's code answers."""
        if replica.is_stopped or replica.has_booted:
            return
        replica.end_boot()
        replica.has_booted = True
        self._site.meter.start(replica.id, replica.started_at)
        now = self._site.now()
        due = max(now, replica.ready_at)
        self._site.timeline.at(due, lambda: self._ready(deployment, replica))
        self._site.note()

    def crashed(self, deployment: Deployment, replica: Replica, code: int) -> None:
        """Note that a replica's code ended by itself: it is started again, or given up."""
        if replica.is_stopped:
            return
        deployment.log.collect()
        deployment.log.say(f"container exited with code {code}", "ERROR", replica.id)
        deployment.crashes += 1
        if deployment.crashes > 1:  # as Kubernetes: 10 s, doubled each time, to 5 minutes
            pause = min(_LONGEST_PAUSE_S, 10.0 * 2 ** (deployment.crashes - 2))
            deployment.resting_until = self._site.now() + pause
            self._site.timeline.after(pause, lambda: self._try_again(deployment))
        self.stop(deployment, replica)
        gives_up = deployment.crashes >= self._site.options.crashes_until_failed
        if gives_up and not deployment.has_served:
            self._failed(deployment)
        elif not replica.is_draining:
            self._try_again(deployment)
        self._site.note()

    def review_idleness(self, deployment: Deployment) -> None:
        """Apply changed limits to replicas that are idle already."""
        for replica in list(deployment.replicas.values()):
            replica.end_idling()
            if replica.has_booted and not replica.visits:
                self._rest(deployment, replica)
        self.go_on(deployment)

    def look_for_machines(self, deployment: Deployment) -> None:
        """Place replicas that wait for a machine."""
        for replica in list(deployment.replicas.values()):
            if replica.is_waiting:
                replica.is_waiting = False
                replica.started_at = self._site.now()
                replica.ready_at = replica.started_at + self._site.options.cold_start_s
                self._boot(deployment, replica)

    # Inside

    def _try_again(self, deployment: Deployment) -> None:
        self.scale(deployment, at_least=0 if deployment.has_served else 1)
        self.go_on(deployment)

    def _wanted(self, deployment: Deployment, active: int) -> int:
        """How many replicas a deployment should have, by its load."""
        limits, now = deployment.autoscaling, self._site.now()
        least, load, per_replica = (
            _least(deployment),
            deployment.in_flight,
            _per_replica(deployment),
        )
        if load and not active:
            return max(1, least)
        if load <= per_replica * active + _TOLERANCE:
            deployment.over_since = None
            return least
        window = limits["autoscaling_window"] or 0
        if deployment.over_since is None:
            deployment.over_since = now
            self._site.timeline.at(now + window, lambda: self.go_on(deployment))
        if now < deployment.over_since + window - _TOLERANCE:
            return least
        return max(least, math.ceil(load / per_replica))

    def _start(self, deployment: Deployment) -> None:
        now = self._site.now()
        fault = self._site.faults.take("start")
        cold_start_s = cold_start_after(fault, self._site.options.cold_start_s)
        short = self._site.new_id(5)
        output = ReplicaOutput(self._folder / f"{deployment.id}-{short}.log", short)
        replica = Replica(short, now, output, site=self._site, ready_at=now + cold_start_s)
        deployment.replicas[short] = replica
        deployment.log.follow(output)
        if fault is not None and fault.kind == "capacity":
            replica.is_waiting = True
            deployment.log.say("no machine of this type is free", "WARNING", short)
            if fault.delay_s:
                again = fault.delay_s
                self._site.timeline.after(again, lambda: self.look_for_machines(deployment))
            return
        self._boot(deployment, replica)
        if fault is not None and fault.kind == "crash":
            self._site.timeline.at(now, lambda: self.crashed(deployment, replica, 1))

    def _boot(self, deployment: Deployment, replica: Replica) -> None:
        deployment.startups.append(Startup(replica.id, self._site.timeline.wall()))
        deployment.log.say(f"starting replica on {deployment.instance.id}", replica=replica.id)
        replica.begin_boot()
        made: list[Machine] = []
        made.append(
            self._make(deployment, replica, lambda code: self._exited(deployment, replica, code))
        )
        replica.machine = made[0]
        replica.machine.start()
        if replica.machine.url:
            self._watch(deployment, replica)
        else:
            self.booted(deployment, replica)

    def _exited(self, deployment: Deployment, replica: Replica, code: int) -> None:
        """Called by a machine's own thread."""
        with self._site.timeline.lock:
            self.crashed(deployment, replica, code)

    def _ready(self, deployment: Deployment, replica: Replica) -> None:
        if replica.is_stopped:
            return
        deployment.crashes = 0
        for startup in deployment.startups:
            if startup.replica == replica.id:
                startup.ready_at = self._site.timeline.wall()
        deployment.log.say("replica is ready", replica=replica.id)
        if not replica.visits:
            self._rest(deployment, replica)
        is_first = not deployment.has_served
        deployment.has_served = True
        if is_first or (deployment.environment and not deployment.is_current):
            self._arrived(deployment)
        self.go_on(deployment)

    def _rest(self, deployment: Deployment, replica: Replica) -> None:
        """A replica has nothing to do: it is looked at again after the scale-down delay."""
        if replica.is_draining:
            self.stop(deployment, replica)
            return
        if replica.idle_timer is None:
            delay = deployment.autoscaling["scale_down_delay"] or 0
            due = self._site.now() + delay
            replica.idle_timer = self._site.timeline.at(
                due, lambda: self._idle_out(deployment, replica)
            )

    def _idle_out(self, deployment: Deployment, replica: Replica) -> None:
        replica.idle_timer = None
        if replica.is_stopped or replica.visits:
            return
        needed = math.ceil(deployment.in_flight / _per_replica(deployment) - _TOLERANCE)
        if len(_active(deployment)) > max(_least(deployment), needed):
            self.stop(deployment, replica)
        elif deployment.in_flight:
            self._rest(deployment, replica)

    def _dispatch(self, deployment: Deployment) -> None:
        """Give waiting requests to replicas that have room."""
        while deployment.queue:
            replica = self._roomiest(deployment)
            if replica is None:
                return
            self._assign(deployment.queue.pop(0), deployment, replica)

    def _roomiest(self, deployment: Deployment) -> Replica | None:
        most = int(deployment.autoscaling["concurrency_target"])
        now = self._site.now()
        having = [
            each
            for each in deployment.ready(now)
            if not each.is_draining and len(each.visits) < most
        ]
        return min(having, key=lambda each: len(each.visits), default=None)

    def _assign(self, visit: Visit, deployment: Deployment, replica: Replica) -> None:
        visit.replica = replica
        replica.visits[visit.id] = visit
        replica.end_idling()
        now = self._site.now()
        if visit.crashes:
            self._site.timeline.at(now, lambda: self._kill(deployment, replica, visit))
        elif visit.hangs:
            limit = deployment.config.timeout_s
            if limit is not None:
                visit.timer = self._site.timeline.after(limit, lambda: self._time_out(visit, limit))
        else:
            visit.is_real = True
            self._site.began()
        self._site.note()

    def _kill(self, deployment: Deployment, replica: Replica, visit: Visit) -> None:
        if visit.id in replica.visits:
            self.crashed(deployment, replica, 137)

    def _time_out(self, visit: Visit, limit: float) -> None:
        """What gpuhub's own worker answers at the end of a call's time."""
        visit.answer = (
            b'{"gpuhub_error":{"type":"gpuhub.CallTimedOut","message":'
            b'"the call ran longer than %g s","traceback":"","wire":1}}' % limit
        )
        self._site.note()

    def _lose(self, replica: Replica, visit: Visit) -> None:
        """Tell a request that its replica is gone."""
        replica.visits.pop(visit.id, None)
        if visit.problem is None:
            words = "The model's container stopped while it handled the request."
            visit.problem = Problem(502, words)
        if visit.timer is not None:
            visit.timer.cancel()
        if visit.is_real:
            visit.is_real = False
            self._site.ended()


def _active(deployment: Deployment) -> list[Replica]:
    return [each for each in deployment.replicas.values() if not each.is_draining]


def _least(deployment: Deployment) -> int:
    return 0 if deployment.is_development else int(deployment.autoscaling["min_replica"])


def _per_replica(deployment: Deployment) -> float:
    """How many requests a replica should have, the headroom taken off."""
    limits = deployment.autoscaling
    percent = limits["target_utilization_percentage"] or 100
    return max(float(limits["concurrency_target"] * percent / 100), _TOLERANCE)
