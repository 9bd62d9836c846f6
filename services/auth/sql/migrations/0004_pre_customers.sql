-- What the customer door knows of a person; codes of the second factor are sealed like signing keys.
ALTER TABLE auth.person
    ADD COLUMN phone              text NOT NULL DEFAULT '',
    ADD COLUMN brand              text NOT NULL DEFAULT '',
    ADD COLUMN preferred_language text NOT NULL DEFAULT '',
    ADD COLUMN timezone           text NOT NULL DEFAULT '',
    ADD COLUMN marketing_allowed  boolean NOT NULL DEFAULT false,
    ADD COLUMN ref_code           text NOT NULL DEFAULT '',
    ADD COLUMN status             text NOT NULL DEFAULT 'active',
    ADD COLUMN desk               text NOT NULL DEFAULT '',
    ADD COLUMN manager_id         bigint NOT NULL DEFAULT 0,
    ADD COLUMN otp_sealed         bytea,
    ADD COLUMN otp_enabled        boolean NOT NULL DEFAULT false,
    ADD COLUMN otp_step           bigint NOT NULL DEFAULT 0,
    ADD COLUMN last_login_ms      bigint NOT NULL DEFAULT 0;
