"""Triggers on `jobs` that maintain tags, search texts and counts; migration 0004 creates them.

A block has 1,000 consecutive numbers (`store.job_counts.BLOCK`). Only the first 20,000 characters and the
first 1,000 tags of a job are indexed, so that large job files do not take seconds to store.
"""

_TOKENIZER = "unicode61 remove_diacritics 0"
_TEXT_LENGTH = 20_000
_MOST_TAGS = 1_000
_PUNCTUATION = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""".replace("'", "''").replace("%", "%%")


def statements(dialect: str) -> tuple[str, ...]:
    """Return the statements that create the triggers and fill their tables from the existing jobs."""
    return _postgresql() if dialect == "postgresql" else _sqlite()


def _sqlite() -> tuple[str, ...]:
    def tags(job: str) -> str:
        of_job = f"json_each({job}.summary, '$.tags') WHERE key < {_MOST_TAGS}"
        return f"(SELECT DISTINCT value AS tag FROM {of_job})"

    def text(job: str) -> str:
        all_tags = f"(SELECT group_concat(value, ' ') FROM json_each({job}.summary, '$.tags'))"
        description = f"json_extract({job}.summary, '$.description')"
        whole = f"{job}.name || ' ' || coalesce({all_tags}, '') || ' ' || coalesce({description}, '')"
        return f"substr({whole}, 1, {_TEXT_LENGTH})"

    def count(job: str, number: int) -> str:
        return f"""
            INSERT INTO job_counts (term, block, number)
            SELECT '', {job}.seq / 1000, {number} WHERE true
            UNION ALL SELECT 'status:' || {job}.state, {job}.seq / 1000, {number}
            UNION ALL SELECT 'tag:' || tag, {job}.seq / 1000, {number} FROM {tags(job)} WHERE true
            {add};"""

    add = "ON CONFLICT (term, block) DO UPDATE SET number = number + excluded.number"
    return (
        f"CREATE VIRTUAL TABLE job_texts USING fts5(text, content='', tokenize='{_TOKENIZER}')",
        """CREATE TRIGGER job_counts_empty AFTER UPDATE ON job_counts WHEN new.number = 0
        BEGIN DELETE FROM job_counts WHERE term = new.term AND block = new.block; END""",
        f"""CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN
            INSERT INTO job_tags (tag, seq) SELECT tag, new.seq FROM {tags("new")};
            INSERT INTO job_texts (rowid, text) VALUES (new.seq, {text("new")});
            {count("new", 1)}
        END""",
        f"""CREATE TRIGGER jobs_changed AFTER UPDATE OF state ON jobs WHEN old.state <> new.state BEGIN
            INSERT INTO job_counts (term, block, number)
            SELECT 'status:' || old.state, old.seq / 1000, -1 WHERE true
            UNION ALL SELECT 'status:' || new.state, new.seq / 1000, 1 WHERE true
            {add};
        END""",
        f"""CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN
            DELETE FROM job_tags WHERE seq = old.seq AND tag IN (SELECT tag FROM {tags("old")});
            INSERT INTO job_texts (job_texts, rowid, text) VALUES ('delete', old.seq, {text("old")});
            {count("old", -1)}
        END""",
        f"""INSERT INTO job_tags (tag, seq) SELECT DISTINCT value, jobs.seq
        FROM jobs, json_each(jobs.summary, '$.tags') WHERE key < {_MOST_TAGS}""",
        f"INSERT INTO job_texts (rowid, text) SELECT jobs.seq, {text('jobs')} FROM jobs",
        *_FILL_COUNTS,
    )


def _postgresql() -> tuple[str, ...]:
    def tags(job: str) -> str:
        of_job = f"json_array_elements_text({job}.summary->'tags') WITH ORDINALITY AS each (tag, place)"
        return f"(SELECT DISTINCT tag FROM {of_job} WHERE place <= {_MOST_TAGS})"

    def text(job: str) -> str:
        all_tags = (
            f"(SELECT string_agg(tag, ' ') FROM json_array_elements_text({job}.summary->'tags') AS tag)"
        )
        whole = f"concat_ws(' ', {job}.name, {all_tags}, {job}.summary->>'description')"
        # punctuation separates words; PostgreSQL's parser would keep paths and host names together
        plain = f"translate(left({whole}, {_TEXT_LENGTH}), '{_PUNCTUATION}', repeat(' ', 40))"
        return f"to_tsvector('simple', {plain})"

    def count(job: str, number: int) -> str:
        return f"""
            INSERT INTO job_count_changes (term, block, number)
            SELECT '', {job}.seq / 1000, {number}
            UNION ALL SELECT 'status:' || {job}.state, {job}.seq / 1000, {number}
            UNION ALL SELECT 'tag:' || tag, {job}.seq / 1000, {number} FROM {tags(job)} AS tags;"""

    def trigger(name: str, when: str, body: str) -> tuple[str, str]:
        return (
            f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN {body} RETURN NULL; END $$""",
            f"CREATE TRIGGER {name} AFTER {when} EXECUTE FUNCTION {name}()",
        )

    return (
        "CREATE TABLE job_texts (rowid bigint PRIMARY KEY, text tsvector NOT NULL)",
        "CREATE INDEX ix_job_texts_text ON job_texts USING gin (text)",
        *trigger(
            "jobs_added",
            "INSERT ON jobs FOR EACH ROW",
            f"""INSERT INTO job_tags (tag, seq) SELECT tag, NEW.seq FROM {tags("NEW")} AS tags;
            INSERT INTO job_texts (rowid, text) VALUES (NEW.seq, {text("NEW")});
            {count("NEW", 1)}""",
        ),
        *trigger(
            "jobs_changed",
            "UPDATE OF state ON jobs FOR EACH ROW WHEN (OLD.state <> NEW.state)",
            """INSERT INTO job_count_changes (term, block, number) VALUES
            ('status:' || OLD.state, OLD.seq / 1000, -1), ('status:' || NEW.state, NEW.seq / 1000, 1);""",
        ),
        *trigger(
            "jobs_removed",
            "DELETE ON jobs FOR EACH ROW",
            f"""DELETE FROM job_tags WHERE seq = OLD.seq AND tag = ANY (ARRAY {tags("OLD")});
            DELETE FROM job_texts WHERE rowid = OLD.seq;
            {count("OLD", -1)}""",
        ),
        f"INSERT INTO job_tags (tag, seq) SELECT tag, seq FROM jobs, LATERAL {tags('jobs')} AS tags",
        f"INSERT INTO job_texts (rowid, text) SELECT seq, {text('jobs')} FROM jobs",
        *_FILL_COUNTS,
    )


_FILL_COUNTS = (
    "INSERT INTO job_counts (term, block, number) SELECT '', seq / 1000, count(*) FROM jobs GROUP BY 1, 2",
    """INSERT INTO job_counts (term, block, number)
    SELECT 'status:' || state, seq / 1000, count(*) FROM jobs GROUP BY 1, 2""",
    """INSERT INTO job_counts (term, block, number)
    SELECT 'tag:' || tag, seq / 1000, count(*) FROM job_tags GROUP BY 1, 2""",
)
