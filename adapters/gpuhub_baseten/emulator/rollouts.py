"""From a push to a deployment that answers, and which deployment an environment points at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gpuhub_baseten.emulator.archive import ArchiveProblem, unpack
from gpuhub_baseten.emulator.problems import missing

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.fleet import Fleet
    from gpuhub_baseten.emulator.site import Site
    from gpuhub_baseten.emulator.state import Deployment, Environment, Phase

__all__ = ["Rollouts"]

_PROMOTION_S = 1.0


class Rollouts:
    """Builds, deploys and promotes. Every method needs the lock.

    Args:
        site: What all parts share.
        folder: For unpacked archives.

    Attributes:
        fleet: Starts and stops replicas; set once it exists.
    """

    fleet: Fleet

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder

    def begin(self, deployment: Deployment) -> None:
        """Build the image of a new deployment."""
        deployment.phase = "BUILDING"
        deployment.log.say("building image")
        self._later(deployment, self._site.options.build_s, self._built)

    def activate(self, deployment: Deployment) -> bool:
        """Bring a deactivated deployment up again; tell whether there was something to do."""
        if deployment.phase != "INACTIVE":
            return False
        self._deploy(deployment)
        return True

    def deactivate(self, deployment: Deployment) -> bool:
        """Switch a deployment off until it is activated; tell whether there was something to do."""
        if deployment.phase == "INACTIVE":
            return False
        self.end(deployment)
        deployment.phase = "INACTIVE"
        self._give_up_promotion(deployment)
        return True

    def end(self, deployment: Deployment) -> None:
        """Stop all that a deployment does."""
        if deployment.timer is not None:
            deployment.timer.cancel()
        self.fleet.refuse_all(deployment, lambda: missing(f"deployment {deployment.id}"))
        self.fleet.stop_all(deployment, gently=False)

    def promote(self, deployment: Deployment, environment: Environment) -> None:
        """Let an environment point at a deployment that is up, or was."""
        environment.candidate = deployment
        deployment.environment = environment
        deployment.autoscaling = {**environment.autoscaling, **deployment.keeps}
        self.fleet.review_idleness(deployment)
        if deployment.phase == "INACTIVE":
            self._deploy(deployment)
        elif deployment.has_served and deployment.phase == "LIVE":
            self._later(deployment, _PROMOTION_S, self._go_over)

    def cancel_promotion(self, environment: Environment) -> bool:
        """Leave an environment with what it points at."""
        if environment.candidate is None:
            return False
        candidate, environment.candidate = environment.candidate, None
        candidate.environment = None
        return True

    def arrived(self, deployment: Deployment) -> None:
        """A deployment answers: what waits for that happens."""
        environment = deployment.environment
        if environment is None or environment.candidate is not deployment:
            return
        previous = environment.current
        environment.candidate, environment.current = None, deployment
        environment.autoscaling = {**environment.autoscaling, **deployment.keeps}
        environment.instance = deployment.instance
        environment.backpressure = deployment.backpressure
        deployment.autoscaling, deployment.keeps = dict(environment.autoscaling), {}
        deployment.log.say(f"promoted to {environment.name}")
        if previous is not None and previous is not deployment:
            self._clean_up(previous, environment, scales_down=deployment.scales_down_previous)
        self.fleet.review_idleness(deployment)

    def failed(self, deployment: Deployment) -> None:
        """A deployment never answered."""
        self._fail(deployment, "FAILED", "the model could not be loaded")

    def _built(self, deployment: Deployment) -> None:
        if deployment.is_broken:
            self._fail(deployment, "BUILD_FAILED", "the build exited with code 1")
            return
        target = self._folder / deployment.id
        try:
            dropped = unpack(deployment.archive, target, deployment.config)
        except ArchiveProblem as problem:
            self._fail(deployment, "BUILD_FAILED", str(problem))
            return
        deployment.image = target
        deployment.log.say(f"image built; {dropped} paths of the archive were left out")
        self._deploy(deployment)

    def _deploy(self, deployment: Deployment) -> None:
        deployment.phase = "DEPLOYING"
        deployment.log.say("deploying")
        self._later(deployment, self._site.options.deploy_s, self._live)

    def _live(self, deployment: Deployment) -> None:
        deployment.phase = "LIVE"
        boots = self._site.options.boots_after_push
        self.fleet.scale(deployment, at_least=1 if boots else 0)
        if not deployment.replicas:
            deployment.has_served = True
            self.arrived(deployment)
        self.fleet.go_on(deployment)

    def _go_over(self, deployment: Deployment) -> None:
        """The end of a promotion that needs no new replica, or only waits for one."""
        if deployment.autoscaling["min_replica"] and not deployment.ready(self._site.now()):
            return  # `arrived` is called when one is ready
        self.arrived(deployment)

    def _clean_up(
        self, previous: Deployment, environment: Environment, *, scales_down: bool
    ) -> None:
        previous.environment = None
        strategy = environment.promotion["promotion_cleanup_strategy"]
        if not scales_down or strategy == "KEEP":
            return
        if strategy == "DEACTIVATE":
            self.deactivate(previous)
            return
        previous.autoscaling = {**previous.autoscaling, "min_replica": 0}
        self.fleet.stop_all(previous, gently=True)

    def _fail(self, deployment: Deployment, phase: Phase, why: str) -> None:
        deployment.phase = phase
        deployment.log.say(f"{phase.lower().replace('_', ' ')}: {why}", "ERROR")
        self.end(deployment)
        self._give_up_promotion(deployment)
        self._site.note()

    def _give_up_promotion(self, deployment: Deployment) -> None:
        environment = deployment.environment
        if environment is not None and environment.candidate is deployment:
            environment.candidate = None
            deployment.environment = None

    def _later(
        self, deployment: Deployment, seconds: float, step: Callable[[Deployment], None]
    ) -> None:
        if deployment.timer is not None:
            deployment.timer.cancel()
        deployment.timer = self._site.timeline.after(seconds, lambda: step(deployment))
