"""Which test sees the effect of which field: of job files by the names of their shapes, of answers by those
of `api.answers`."""

PLANNER = "tests/domain/test_planner.py::"
WEBHOOKS = "tests/domain/test_webhooks.py::"
TOLD = "tests/worker/test_worker.py::test_the_runtime_is_told_all_it_needs"
DOCKER = "tests/runtime/docker/test_runtime.py::"
SIDECARS = "tests/runtime/docker/test_sidecars.py::"
TASKS = "tests/system/test_tasks.py::"
ANSWERS = "tests/api/test_responses.py::"
SYSTEM = "tests/api/test_system.py::"
READING = "tests/api/test_queries.py::"
SCHEDULED = "tests/api/test_scheduled_jobs.py::"
AUTHENTICATION = "tests/api/test_authentication.py::"
ADDING_USERS = "tests/api/test_users.py::"

TESTS: dict[str, str] = {
    # the job file
    PLANNER + "test_a_job_that_ends_knows_when_it_is_to_be_removed": "AutoDelete.after Job.autoDelete",
    PLANNER + "test_defaults_hold_for_what_says_nothing_else": (
        "Defaults.retry Defaults.limits Defaults.timeout Defaults.queue Defaults.priority Job.defaults"
    ),
    PLANNER + "test_a_subjob_has_a_description_webhooks_and_an_end_of_its_own": (
        "Subjob.description Subjob.webhooks Subjob.autoDelete"
    ),
    PLANNER + "test_each_runs_its_task_for_every_item": "Each.list Each.task Task.each",
    PLANNER + "test_the_item_may_have_another_name_and_be_of_any_kind": "Each.var",
    PLANNER + "test_at_most_so_many_items_are_at_work": "Each.concurrency",
    PLANNER + "test_an_if_that_is_false_skips_the_task": "Task.if",
    PLANNER + "test_the_result_of_a_task_is_there_for_the_next_ones_by_its_var": "Task.var",
    PLANNER + "test_tasks_in_parallel_are_sent_at_once_and_the_job_goes_on_when_all_are_done": (
        "Parallel.tasks Task.parallel"
    ),
    PLANNER + "test_a_subjob_sees_what_it_is_given_and_its_output_is_the_result": (
        "Subjob.tasks Subjob.inputs Subjob.secrets Subjob.output Task.subjob Job.inputs"
    ),
    PLANNER + "test_a_secret_in_a_name_is_masked": "Subjob.name Job.secrets",
    PLANNER + "test_nobody_waits_for_a_detached_subjob": "Subjob.detached",
    PLANNER + "test_every_field_that_may_be_a_template_is_evaluated": "Step.name Task.name",
    PLANNER + "test_an_output_that_fails_fails_the_job": "Job.output",
    "tests/domain/test_retry_delays.py::test_the_first_delay_doubles_by_default": "Retry.initialDelay",
    "tests/domain/test_retry_delays.py::test_it_grows_by_its_factor": "Retry.scalingFactor",
    "tests/domain/test_retry_delays.py::test_it_is_never_longer_than_its_limit": "Retry.maxDelay",
    "tests/system/test_control.py::test_a_failed_task_runs_again_after_a_growing_delay": (
        "Retry.limit Task.retry"
    ),
    "tests/store/paging_contract.py::test_a_job_is_found_by_its_words_tags_and_state": (
        "Job.name Job.description Job.tags"
    ),
    TASKS + "test_tasks_of_a_job_run_in_order_and_their_results_are_kept_by_var": "Job.tasks",
    "tests/api/test_permissions.py::test_whom_it_is_for_may_control_it": "Job.permissions",
    "tests/store/test_permissions.py::test_a_job_is_seen_by_those_it_is_for": (
        "Permission.user Permission.role"
    ),
    "tests/api/test_long_poll.py::test_the_whole_job_is_answered_when_it_has_ended": "Job.wait",
    "tests/api/test_long_poll.py::test_a_wait_that_is_over_leaves_the_job_to_go_on": "Wait.timeout",
    "tests/test_webhook_outbox.py::test_submit_and_first_claim_are_recorded": "Job.webhooks",
    WEBHOOKS + "test_url_and_headers_are_templates": "Webhook.url Webhook.headers",
    WEBHOOKS + "test_a_webhook_hears_of_state_changes_of_the_job_unless_it_says_else": "Webhook.event",
    WEBHOOKS + "test_a_condition_decides": "Webhook.if",
    "tests/jobfile/test_job_files.py::test_limits_may_be_numbers_or_strings": "Limits.cpu",
    TOLD: "Limits.cpus Task.limits Task.volumes Task.mounts Task.networks",
    DOCKER + "test_exceeding_the_memory_limit_kills_and_says_so": "Limits.memory",
    DOCKER + "test_gpus_are_asked_for_as_docker_run_does": "Task.gpus",
    DOCKER + "test_an_entry_point_gets_the_path_of_the_script": "Step.entrypoint Step.run",
    DOCKER + "test_an_image_that_does_not_exist_fails_the_task": "Step.image",
    "tests/runtime/exchange_contract.py::test_a_step_may_choose_where_it_starts": "Task.workdir",
    "tests/runtime/exchange_contract.py::test_files_are_in_the_directory_where_the_step_starts": "Step.files",
    TASKS + "test_a_container_sees_its_environment_files_and_ids": "Step.env",
    TASKS + "test_steps_share_volumes_and_run_in_order": "Task.pre Task.post",
    "tests/runtime/docker/test_mounts.py::test_a_bind_mount_is_the_directory_itself": (
        "Mount.type Mount.source Mount.target"
    ),
    "tests/runtime/docker/test_mounts.py::test_a_tmpfs_has_a_size_and_a_mode": "Mount.opts",
    "tests/runtime/docker/test_image_pulls.py::test_credentials_are_given_to_the_registry": (
        "Registry.username Registry.password"
    ),
    "tests/system/test_container_examples.py::test_registry": "Step.registry",
    "tests/worker/test_worker.py::test_a_step_that_takes_too_long_is_stopped": "Step.timeout",
    "tests/worker/test_worker.py::test_a_task_that_takes_too_long_is_stopped": "Step.timeout",
    SIDECARS + "test_a_sidecar_is_reached_by_its_name_and_nothing_of_it_stays": "Sidecar.name Task.sidecars",
    SIDECARS + "test_sidecars_have_files_environment_and_mounts": "Probe.path",
    SIDECARS + "test_the_main_step_waits_until_every_probe_passes": "Sidecar.probe Probe.port",
    SIDECARS + "test_a_sidecar_that_does_not_pass_its_probe_fails_the_task": "Probe.timeout",
    SIDECARS + "test_a_sidecar_that_has_a_timeout_is_ended_by_it": "Step.timeout",
    "tests/dispatch/test_canvases.py::test_a_task_goes_to_its_queue_and_advance_to_control": "Task.queue",
    "tests/system/test_queues.py::test_tasks_of_higher_priority_go_first": "Task.priority",
    SCHEDULED + "test_one_is_made_and_read": (
        "Schedule.cron ScheduledJob.schedule ScheduledJobSummary.id ScheduledJobSummary.name "
        "ScheduledJobSummary.state ScheduledJobSummary.cron ScheduledJobSummary.schedule "
        "ScheduledJobSummary.createdAt ScheduledJobSummary.description ScheduledJobSummary.tags "
        "ScheduledJobSummary.nextRunAt ScheduledJobAnswer.tasks ScheduledJobAnswer.secrets"
    ),
    # what is answered
    ANSWERS + "test_a_job_in_a_list_has_all_of_a_summary": (
        "JobSummary.id JobSummary.name JobSummary.state JobSummary.createdAt JobSummary.position "
        "JobSummary.createdBy JobSummary.parentId JobSummary.inputs JobSummary.description JobSummary.tags "
        "JobSummary.startedAt JobSummary.completedAt JobSummary.failedAt JobSummary.taskCount "
        "JobSummary.result JobSummary.error JobSummary.progress JobSummary.schedule"
    ),
    ANSWERS + "test_a_whole_job_has_its_summary_and_all_that_was_given": (
        "JobAnswer.tasks JobAnswer.execution JobAnswer.context JobAnswer.output JobAnswer.defaults "
        "JobAnswer.webhooks JobAnswer.autoDelete JobAnswer.deleteAt JobAnswer.secrets"
    ),
    ANSWERS + "test_a_task_has_all_that_was_given_and_what_became_of_it": (
        "TaskAnswer.id TaskAnswer.jobId TaskAnswer.position TaskAnswer.state TaskAnswer.createdAt "
        "TaskAnswer.parentId TaskAnswer.name TaskAnswer.description TaskAnswer.scheduledAt "
        "TaskAnswer.startedAt TaskAnswer.completedAt TaskAnswer.failedAt TaskAnswer.cmd "
        "TaskAnswer.entrypoint TaskAnswer.run TaskAnswer.image TaskAnswer.registry TaskAnswer.env "
        "TaskAnswer.files TaskAnswer.queue TaskAnswer.redelivered TaskAnswer.error TaskAnswer.pre "
        "TaskAnswer.post TaskAnswer.sidecars TaskAnswer.mounts TaskAnswer.volumes TaskAnswer.networks "
        "TaskAnswer.nodeId TaskAnswer.retry TaskAnswer.limits TaskAnswer.timeout TaskAnswer.result "
        "TaskAnswer.var TaskAnswer.if TaskAnswer.gpus TaskAnswer.tags TaskAnswer.workdir "
        "TaskAnswer.priority TaskAnswer.progress Task.tags Step.description Step.cmd"
    ),
    ANSWERS + "test_a_job_shows_whom_it_is_for": "JobAnswer.permissions ScheduledJobAnswer.permissions",
    ANSWERS + "test_a_scheduled_job_has_all_that_was_given": (
        "ScheduledJobSummary.inputs ScheduledJobAnswer.autoDelete ScheduledJobAnswer.defaults "
        "ScheduledJobAnswer.output ScheduledJobAnswer.webhooks"
    ),
    ANSWERS + "test_a_composite_says_where_it_stands": (
        "TaskAnswer.parallel TaskAnswer.each TaskAnswer.subjob"
    ),
    AUTHENTICATION + "test_a_scheduled_job_names_its_creator": "ScheduledJobSummary.createdBy",
    ADDING_USERS + "test_a_user_is_added": (
        "User.username User.name UserAnswer.username UserAnswer.name UserAnswer.createdAt"
    ),
    AUTHENTICATION + "test_a_user_is_let_in_by_the_password": "User.password",
    READING + "test_a_log_is_seen_in_pages_newest_part_first": (
        "LogPart.id LogPart.number LogPart.taskId LogPart.contents LogPart.createdAt LogPage.items "
        "LogPage.totalPages LogPage.totalItems LogPage.number LogPage.size"
    ),
    READING + "test_jobs_are_seen_in_pages_newest_first": (
        "JobPage.items JobPage.number JobPage.size JobPage.totalPages JobPage.totalItems"
    ),
    SCHEDULED + "test_they_are_listed_the_newest_first": (
        "ScheduledJobPage.items ScheduledJobPage.number ScheduledJobPage.size "
        "ScheduledJobPage.totalPages ScheduledJobPage.totalItems"
    ),
    SYSTEM + "test_nodes_are_listed": (
        "Node.id Node.name Node.hostname Node.startedAt Node.lastHeartbeatAt Node.status Node.version "
        "Node.port Node.queue Node.taskCount"
    ),
    "tests/store/test_node_rows.py::test_a_beat_makes_a_node_heard_of": "Node.cpuPercent",
    SYSTEM + "test_queues_are_listed_with_their_zeros": (
        "Queue.name Queue.size Queue.subscribers Queue.unacked"
    ),
    SYSTEM + "test_metrics_are_json": "Metrics.jobs Metrics.tasks Metrics.nodes",
    SYSTEM + "test_the_part_that_is_down_is_named": "Health.status Health.down",
    READING + "test_what_is_not_there_is_not_found": "Error.message",
    SYSTEM + "test_a_queue_is_emptied": "Ok.status",
}
