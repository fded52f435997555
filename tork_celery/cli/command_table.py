"""The table of commands: where each one is, and the line about it in `tork-celery --help`.

A module is imported only when its command runs or is completed. Importing all of them takes a second.
"""

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run jobs": {
        "run": ("run:run", "Submit a job file and follow the job."),
        "submit": ("submit:submit", "Submit job files and print the ids."),
        "validate": ("validate:validate", "Check job files, without a server."),
        "wait": ("wait:wait", "Wait until jobs have ended."),
        "cancel": ("job_control:cancel", "Cancel jobs."),
        "restart": ("job_control:restart", "Run failed or cancelled jobs on."),
        "rerun": ("rerun:rerun", "Make a new job of the file of a job."),
        "rm": ("job_control:rm", "Delete ended jobs with their logs."),
    },
    "Look at jobs": {
        "top": ("top:top", "Watch queues, nodes and active jobs."),
        "jobs": ("jobs:jobs", "List jobs, newest first."),
        "show": ("show:show", "Show a job and its tasks as a tree."),
        "tasks": ("tasks:tasks", "List tasks, those of the newest jobs first."),
        "logs": ("logs:logs", "Print the log of a job or a task."),
        "explain": ("explain:explain", "Say what a task waits for, and what it did."),
        "reproduce": ("reproduce:reproduce", "Print the docker run that repeats a step here."),
    },
    "Look after the system": {
        "config": ("config:config", "Show the settings and where each comes from."),
        "health": ("health:health", "Say whether the system is up."),
        "queues": ("queues:queues", "List queues, or purge one."),
        "nodes": ("nodes:nodes", "List the processes of the system."),
        "schedules": ("schedules:schedules", "List schedules; pause, resume or delete them."),
        "users": ("users:users", "Add and change the users of the API."),
        "audit": ("audit:audit", "Show who changed what."),
    },
    "Start the system": {
        "standalone": ("standalone:standalone", "Run the whole system in one command."),
        "worker": ("processes:worker", "Run a worker of some queues."),
        "coordinator": ("processes:coordinator", "Run a coordinator."),
        "api": ("api:api", "Serve the REST API."),
        "backup": ("backup:backup", "Copy the local datastore to a file."),
        "migration": ("migration:migration", "Create or upgrade the datastore's schema."),
    },
    "Tools": {
        "eval": ("eval:evaluate", "Evaluate an expression of a job file."),
        "schema": ("schema:schema", "Print the JSON Schema of job files."),
        "completion": ("completion:completion", "Print the completion script of a shell."),
        "version": ("version:version", "Print the version."),
    },
}
"""Sections of the help text: the module and function of each command, and its summary."""

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
