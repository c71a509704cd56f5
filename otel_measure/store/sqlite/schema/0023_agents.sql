-- What a span says of a run of an agent or of the use of a tool, as JSON; of arguments a keyed hash.
ALTER TABLE telling ADD COLUMN step TEXT;
CREATE INDEX telling_of_step ON telling (trace) WHERE step IS NOT NULL;

-- Runs of agents: what the spans of a trace say, and what the calls inside add up to, `own_` without those of the runs
-- inside it. `outer` is the span of the run around it.
CREATE TABLE agent_run (
    trace BLOB NOT NULL,
    span BLOB NOT NULL,
    outer BLOB,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    origin INTEGER NOT NULL,
    began INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    error_type TEXT,
    user_id TEXT,
    incomplete INTEGER NOT NULL,
    own_calls INTEGER NOT NULL,
    own_failed INTEGER NOT NULL,
    own_input_tokens INTEGER NOT NULL,
    own_output_tokens INTEGER NOT NULL,
    own_input_known INTEGER NOT NULL,
    own_output_known INTEGER NOT NULL,
    own_priced INTEGER NOT NULL,
    own_cost_nano_usd INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    input_known INTEGER NOT NULL,
    output_known INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    compared INTEGER NOT NULL,
    loops INTEGER NOT NULL,
    repeated INTEGER NOT NULL,
    loop_cost_nano_usd INTEGER NOT NULL,
    PRIMARY KEY (trace, span)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_run_by_time ON agent_run (ts);
CREATE INDEX agent_run_of_user ON agent_run (user_id) WHERE user_id IS NOT NULL;

-- Uses of tools; `run` is the span of the run that they are of.
CREATE TABLE tool_use (
    trace BLOB NOT NULL,
    span BLOB NOT NULL,
    run BLOB,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    origin INTEGER NOT NULL,
    began INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    error_type TEXT,
    PRIMARY KEY (trace, span)
) STRICT, WITHOUT ROWID;
CREATE INDEX tool_use_by_time ON tool_use (ts);
