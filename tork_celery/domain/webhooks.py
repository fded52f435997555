"""What a webhook can be told of."""

JOB_STATE, JOB_PROGRESS = "job.StateChange", "job.Progress"
TASK_STATE, TASK_PROGRESS = "task.StateChange", "task.Progress"
EVENTS = (JOB_STATE, JOB_PROGRESS, TASK_STATE, TASK_PROGRESS)
