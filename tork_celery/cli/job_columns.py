"""The tables of jobs and tasks."""

from tork_celery.cli.output import Columns
from tork_celery.cli.shown_text import age, now, run_time


def job_columns() -> Columns:
    at = now()
    return {
        "ID": lambda job: job["id"],
        "STATE": lambda job: job["state"],
        "AGE": lambda job: age(job["createdAt"], at),
        "TIME": lambda job: run_time(job, at),
        "DONE": lambda job: f"{job['progress']:.0f} %" if "progress" in job else "",
        "NAME": lambda job: job["name"],
        "ERROR": lambda job: job.get("error", ""),
    }


def task_columns() -> Columns:
    at = now()
    return {
        "ID": lambda task: task["id"],
        "STATE": lambda task: task["state"],
        "AGE": lambda task: age(task["createdAt"], at),
        "TIME": lambda task: run_time(task, at),
        "QUEUE": lambda task: task.get("queue", ""),
        "NODE": lambda task: task.get("nodeId", ""),
        "NAME": lambda task: task.get("name", ""),
        "ERROR": lambda task: task.get("error", ""),
    }
