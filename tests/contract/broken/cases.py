"""Which test of the suite catches which broken adapter, and in what words."""

from __future__ import annotations

from dataclasses import dataclass

from tests.contract.broken import calls, operations, plans, secrets

SYNC = ("sync", "sync-in-loop")
ALL = ("sync", "async", "sync-in-loop")


@dataclass(frozen=True)
class Case:
    """One broken adapter.

    Attributes:
        adapter: Its class.
        test: The test that catches it.
        words: What the failure says.
        modes: The ways of calling in which it is caught; the test passes in the others.
        parameter: For a test with parameters: which one.
    """

    adapter: type
    test: str
    words: str
    modes: tuple[str, ...] = ALL
    parameter: str = ""


FIELD = "test_changing_a_field_changes_the_plan"
LIMIT, VARIABLES, TIMEOUT = "scaling.max_workers", "env", "timeout"
ONCE = ("sync",)

CASES = [
    Case(plans.DropsASetting, FIELD, "the requests are the same", ONCE, LIMIT),
    Case(plans.DropsASettingSilently, FIELD, "says the same of two values", ONCE, VARIABLES),
    Case(plans.DropsASettingBehindAnother, FIELD, "which no request holds", ONCE, TIMEOUT),
    Case(plans.MissesARow, "test_the_plan_answers_for_every_field", "answer for memory", ONCE),
    Case(plans.GivesNoReason, "test_the_plan_answers_for_every_field", "not say why", ONCE),
    Case(plans.DoesNotSendDefaults, "test_defaults_are_sent", "60.0 is not sent", ONCE),
    Case(plans.PlansDifferentlyEachTime, "test_planning_is_pure", "first.to_dict()", ONCE),
    Case(plans.AsksWhilePlanning, "test_planning_is_pure", "nothing should have been sent", ONCE),
    Case(plans.ForgetsAFeature, "test_every_feature_is_declared", "snapshot", ONCE),
    Case(
        plans.IgnoresItsOptions,
        "test_an_unknown_option_of_the_provider_is_refused",
        "DID NOT RAISE",
        ONCE,
    ),
    Case(calls.RunsTwice, "test_a_submit_whose_answer_was_lost", "['once', 'once']"),
    Case(calls.RunsTwice, "test_a_spawn_whose_answer_was_lost", "['once', 'once']"),
    Case(
        calls.ReportsLostAnswersAsRefused,
        "test_a_submit_whose_answer_was_lost",
        "ProviderUnavailable",
    ),
    Case(calls.SwallowsTheTraceback, "test_a_remote_error_is_told_in_full", "in ''"),
    Case(calls.EatsFalsyResults, "test_values_come_back_as_they_went", "came back as None"),
    Case(calls.EatsFalsyResults, "test_falsy_results_of_spawned_calls", "assert None == 0"),
    Case(calls.MixesResults, "test_each_call_gets_its_own_result", "[0, 0, 1"),
    Case(calls.MixesResults, "test_results_come_in_the_order_of_the_items", "assert ["),
    Case(calls.AnswersLate, "test_results_do_not_mix", "assert ["),
    Case(calls.ForgetsItsCalls, "test_a_call_survives_a_restart", "CallExpired"),
    Case(calls.PretendsToCancel, "test_a_running_call_can_be_cancelled", "provider says running"),
    Case(calls.CallsAnythingARefusal, "test_a_lasting_rate_limit", "BadRequest"),
    Case(calls.ForgetsTheWait, "test_a_lasting_rate_limit", "None"),
    Case(calls.NamesAnother, "test_a_refused_credential", "'another' == 'mock'"),
    Case(
        calls.BlocksTheLoop,
        "test_async_calls_do_not_block_the_loop",
        "nothing else could run",
        ("async",),
    ),
    Case(calls.AwaitsTheLoop, "test_what_is_deployed_answers", "other than io", SYNC),
    Case(
        calls.TakesCutStreamsForWhole,
        "test_a_stream_that_broke_off_is_not_taken_for_finished",
        "DID NOT RAISE",
    ),
    Case(
        calls.RepeatsStreams,
        "test_a_stream_that_broke_off_is_not_taken_for_finished",
        "assert [0, 0, 1",
    ),
    Case(calls.ShufflesStreams, "test_items_come_in_order", "assert ["),
    Case(calls.GivesUpPolling, "test_a_poll_that_never_works", "ProviderUnavailable"),
    Case(operations.IgnoresMinWorkers, "test_min_workers_stay_warm", "workers:"),
    Case(operations.IgnoresMaxWorkers, "test_max_workers_is_not_exceeded", "workers:"),
    Case(
        operations.NeverScalesToZero,
        "test_an_idle_worker_stops_and_is_no_longer_billed",
        "workers:",
    ),
    Case(
        operations.DeploysAgain,
        "test_an_unchanged_redeploy_changes_nothing",
        "mutating requests were sent",
    ),
    Case(
        operations.CallsWhileDeploying,
        "test_deploy_sends_no_inference_request",
        "inference requests were sent",
    ),
    Case(operations.WarmsWhileDeploying, "test_deploy_sends_no_inference_request", "== 0"),
    Case(operations.ReadyTooEarly, "test_deploy_returns_when_routable", "'old' == 'new'"),
    Case(operations.TearsDownFirst, "test_a_failed_deploy_leaves_the_old_version", "no version of"),
    Case(
        operations.HidesTheBuildLog,
        "test_a_failed_deploy_leaves_the_old_version",
        "shows the end of the build's log",
    ),
    Case(operations.FindsNothing, "test_another_machine_finds_the_deployment", "NotDeployed"),
    Case(operations.ForgetsToDelete, "test_nothing_is_left_after_a_delete", "assert "),
    Case(
        operations.RollsBackInWords,
        "test_rollback_serves_the_version_before",
        "'second' == 'first'",
    ),
    Case(operations.KeepsOneVersion, "test_every_deploy_is_a_version", "assert 1 >= 3"),
    Case(operations.ScalesInWords, "test_limits_of_a_live_deployment_change", "== 4"),
    Case(operations.ForgetsLimitsWhenScaling, "test_limits_of_a_live_deployment_change", "== 4"),
    Case(operations.WarmsInWords, "test_a_worker_can_be_warmed", "> 0"),
    Case(operations.LosesTheLog, "test_what_a_function_prints_is_in_the_log", "contract-two"),
    Case(operations.SharesItsState, "test_two_workspaces_share_nothing", "'theirs' == 'mine'"),
    Case(operations.ConnectsToAnything, "test_connecting_to_nothing", "DID NOT RAISE"),
    Case(secrets.ShowsACredentialInThePlan, "test_secrets_leave_no_trace", "plan JSON: the secret"),
    Case(secrets.LogsACredential, "test_secrets_leave_no_trace", "log records: the secret"),
    Case(secrets.ShowsACredentialInItsRepr, "test_secrets_leave_no_trace", "adapter: the secret"),
    Case(secrets.WritesASecretIntoTheJournal, "test_secrets_leave_no_trace", "the file journal.db"),
    Case(secrets.SendsASecretAsAVariable, "test_secrets_leave_no_trace", "recorded requests: the"),
    Case(secrets.ShowsACredentialInErrors, "test_errors_hold_no_secret", "unauthorized: the"),
    Case(
        secrets.NeedsCredentialsToStart,
        "test_creating_needs_neither_network_nor_credentials",
        "MissingCredentials",
        ONCE,
    ),
    Case(
        secrets.AsksBeforeItHasCredentials,
        "test_missing_credentials",
        "nothing should have been sent",
    ),
    Case(secrets.NamesNoVariable, "test_missing_credentials", "assert False"),
]
