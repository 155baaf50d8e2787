-- What each process may do with Relink's tables. Run it as their owner, after each
-- `relink migrate`; it may be run again. Partitions need no grants of their own: Relink reads and
-- writes through the tables above them.

-- Everything begins anew, so that a right that was dropped here is dropped there.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM
    relink_worker, relink_followup, relink_scheduler, relink_portal,
    relink_operator, relink_desk, relink_standalone;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM
    relink_worker, relink_scheduler, relink_portal, relink_desk, relink_standalone;

-- Whoever opens the database looks whether it is of this version. The followup worker does no
-- more than that: what it learns goes to the broker.
GRANT SELECT ON relink_schema TO
    relink_worker, relink_followup, relink_scheduler, relink_portal,
    relink_operator, relink_desk, relink_standalone;

-- Who decides: workers, and the scheduler when something falls due. The ledger and history are
-- added to, never changed; history is not even read.
GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, authorizations
    TO relink_worker, relink_scheduler, relink_standalone;
GRANT SELECT, INSERT, UPDATE ON holders, cases, probes
    TO relink_worker, relink_scheduler, relink_standalone;
GRANT SELECT, INSERT ON inbox TO relink_worker, relink_scheduler, relink_standalone;
GRANT INSERT ON history TO relink_worker, relink_scheduler, relink_standalone;
GRANT USAGE ON SEQUENCE history_seq TO relink_worker, relink_scheduler, relink_standalone;
GRANT SELECT, INSERT, DELETE ON outbox TO relink_worker, relink_scheduler, relink_standalone;

-- The scheduler besides: takes over commands that were left behind and background work, counts
-- what is parked, and has days made and dropped by functions of the owner.
GRANT UPDATE ON outbox TO relink_scheduler, relink_standalone;
GRANT SELECT, INSERT, UPDATE ON claims TO relink_scheduler, relink_standalone;
GRANT SELECT ON parked TO relink_scheduler;
GRANT EXECUTE ON FUNCTION relink_make_day(text, date), relink_drop_day(text, date),
    relink_expire_default(text, date) TO relink_scheduler, relink_standalone;

-- Who looks.
GRANT SELECT ON accounts, authorizations, cases, inbox, history
    TO relink_portal, relink_operator, relink_desk, relink_standalone;
GRANT SELECT ON outbox, parked, claims TO relink_operator, relink_desk;

-- A message that a person drops is recorded: with the desk's command, or by the portal's API for
-- a token with write scope.
GRANT INSERT ON inbox, history TO relink_portal, relink_desk;
GRANT USAGE ON SEQUENCE history_seq TO relink_portal, relink_desk;

-- Without a broker messages are parked in the database; an operator of a standalone installation
-- may then mark and delete them.
GRANT SELECT, INSERT, UPDATE, DELETE ON parked TO relink_standalone;
GRANT UPDATE, DELETE ON parked TO relink_desk;
