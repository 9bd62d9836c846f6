-- What terminals keep here: scripts that run on the client, and their settings as free JSON.
CREATE TABLE auth.script (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login       bigint NOT NULL REFERENCES auth.account,
    name        text NOT NULL,
    script      text NOT NULL,
    description text NOT NULL,
    kind        text NOT NULL,
    language    text NOT NULL,
    visibility  text NOT NULL,
    autostart   boolean NOT NULL,
    enabled     boolean NOT NULL,
    created_ms  bigint NOT NULL,
    updated_ms  bigint NOT NULL
);
CREATE INDEX script_login ON auth.script (login, id);

-- The JSON stays text: jsonb would change the order of its keys and the form of its numbers.
CREATE TABLE auth.setting (
    login      bigint NOT NULL REFERENCES auth.login,
    prefix     text NOT NULL,
    settings   text NOT NULL,
    updated_ms bigint NOT NULL,
    PRIMARY KEY (login, prefix)
);
