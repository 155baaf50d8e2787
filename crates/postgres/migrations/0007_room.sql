-- Accounts of one authorization lie side by side and change together: with room for one of them in
-- a page, four in ten updates wrote an entry into every index. New pages leave room for three.

ALTER TABLE accounts SET (fillfactor = 60);
