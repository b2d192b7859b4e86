"""The contract suite on Baseten's emulator, with quick worker processes."""

from __future__ import annotations

import pytest

from gpuhub.testing.contract import AdapterContract


class TestBaseten(AdapterContract):
    """The adapter keeps every promise on the emulator, but what Baseten makes impossible."""

    adapter = "gpuhub_baseten"

    @pytest.mark.contract_xfail(reason="each push starts a replica to see it load, and bills it")
    def test_deploy_sends_no_inference_request(self, bench):
        """No inference is sent, but the deploy is not free."""
        super().test_deploy_sends_no_inference_request(bench)

    @pytest.mark.contract_xfail(reason="Baseten keeps no result: the process holds spawned calls")
    def test_a_call_survives_a_restart(self, bench):
        """Another process is told that the call has expired."""
        super().test_a_call_survives_a_restart(bench)

    @pytest.mark.contract_xfail(reason="a held call is not asked about, so asking cannot fail")
    def test_a_poll_that_never_works(self, bench):
        """Its result comes all the same."""
        super().test_a_poll_that_never_works(bench)

    @pytest.mark.contract_xfail(reason="the replica that the push started takes the call at once")
    def test_a_queued_call_can_be_cancelled(self, bench):
        """It is not queued."""
        super().test_a_queued_call_can_be_cancelled(bench)
