-- Every statement under a row filter looks one row up. With few rows to a page the planner takes the index as soon as some fifty
-- sessions are open; else it reads the rows of all of them, up to some two hundred.
ALTER TABLE pgusher.session SET (fillfactor = 20);
