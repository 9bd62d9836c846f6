-- One number space for everybody who signs in with a login: trading accounts and staff.
CREATE SEQUENCE auth.login_number START 100001;
CREATE TABLE auth.login (
    login bigint PRIMARY KEY CHECK (login >= 1),
    kind  text NOT NULL CHECK (kind IN ('account', 'staff'))
);

-- A person: the e-mail folded for identity, and the one password that opens every door.
CREATE TABLE auth.person (
    person_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email          text NOT NULL,
    email_key      text NOT NULL UNIQUE,
    password_hash  text NOT NULL,
    first_name     text NOT NULL DEFAULT '',
    last_name      text NOT NULL DEFAULT '',
    enable         boolean NOT NULL DEFAULT true,
    email_verified boolean NOT NULL DEFAULT false,
    tier           text NOT NULL DEFAULT 'free' CHECK (tier IN ('free', 'go', 'plus', 'pro')),
    tier_until_ms  bigint NOT NULL DEFAULT 0,
    token_version  integer NOT NULL DEFAULT 1,
    created_ms     bigint NOT NULL,
    updated_ms     bigint NOT NULL
);

-- A person's trading accounts. The profile belongs to the account, as the broker's clients show it.
CREATE TABLE auth.account (
    login                  bigint PRIMARY KEY REFERENCES auth.login,
    person_id              bigint NOT NULL REFERENCES auth.person,
    group_name             text NOT NULL,
    currency               text NOT NULL,
    leverage               integer NOT NULL CHECK (leverage BETWEEN 1 AND 10000),
    enable                 boolean NOT NULL DEFAULT true,
    enable_read_only       boolean NOT NULL DEFAULT false,
    enable_change_password boolean NOT NULL DEFAULT true,
    send_reports           boolean NOT NULL DEFAULT false,
    investor_hash          text,
    name                   text NOT NULL,
    avatar                 text NOT NULL DEFAULT '',
    phone                  text NOT NULL DEFAULT '',
    address                text NOT NULL DEFAULT '',
    city                   text NOT NULL DEFAULT '',
    state                  text NOT NULL DEFAULT '',
    country                text NOT NULL DEFAULT '',
    zipcode                text NOT NULL DEFAULT '',
    comment                text NOT NULL DEFAULT '',
    lead_source            text NOT NULL DEFAULT '',
    external_id            text NOT NULL DEFAULT '',
    user_color             bigint NOT NULL DEFAULT 0,
    token_version          integer NOT NULL DEFAULT 1,
    opened_ms              bigint NOT NULL
);
CREATE INDEX account_person ON auth.account (person_id);

-- Staff: session type 1 manager, 2 dealer, 3 admin.
CREATE TABLE auth.staff (
    login         bigint PRIMARY KEY REFERENCES auth.login,
    session_type  smallint NOT NULL CHECK (session_type IN (1, 2, 3)),
    name          text NOT NULL,
    email         text NOT NULL DEFAULT '',
    password_hash text NOT NULL,
    enable        boolean NOT NULL DEFAULT true,
    token_version integer NOT NULL DEFAULT 1,
    created_ms    bigint NOT NULL
);

-- Keys that sign tokens; the private half is sealed under TRADEWIND_SECRET_KEY.
CREATE TABLE auth.signing_key (
    kid        text PRIMARY KEY,
    state      text NOT NULL CHECK (state IN ('next', 'active', 'retiring')),
    public     bytea NOT NULL,
    sealed     bytea NOT NULL,
    created_ms bigint NOT NULL,
    retired_ms bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX signing_key_one_of_each ON auth.signing_key (state) WHERE state IN ('next', 'active');

-- What staff did, each row chained to the one before it. Append-only: nobody but the schema's owner could
-- lift the trigger, and no service is that.
CREATE TABLE auth.audit (
    id            bigint PRIMARY KEY,
    time_ms       bigint NOT NULL,
    kind          text NOT NULL,
    actor         bigint NOT NULL,
    session_type  integer NOT NULL,
    method        text NOT NULL,
    path          text NOT NULL,
    detail        text NOT NULL,
    status        integer NOT NULL,
    ref           bigint NOT NULL,
    address       text NOT NULL,
    previous_hash text NOT NULL,
    hash          text NOT NULL UNIQUE
);
CREATE INDEX audit_actor ON auth.audit (actor, id);
COMMENT ON TABLE auth.audit IS 'append-only: what staff did, in a chain of hashes';

CREATE FUNCTION auth.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON auth.audit
    FOR EACH ROW EXECUTE FUNCTION auth.refuse_change();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON auth.audit
    FOR EACH STATEMENT EXECUTE FUNCTION auth.refuse_change();

DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT g.grantee FROM information_schema.role_table_grants AS g
         WHERE g.table_schema = 'auth' AND g.table_name = 'audit' AND g.grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON auth.audit FROM %I', grantee);
    END LOOP;
END $$;
