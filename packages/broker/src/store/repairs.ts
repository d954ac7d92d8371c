// What is done to the tables after something of the log was lost, in this order. A row whose
// session or message is gone would else belong to the next one that gets its id.

const REFERENCES = `
  SELECT message FROM queue UNION ALL SELECT message FROM group_queue
  UNION ALL SELECT message FROM retained UNION ALL SELECT message FROM will`

export const REPAIRS: readonly string[] = [
  // The removal of the older one is among what was lost.
  `DELETE FROM session WHERE id NOT IN (SELECT max(id) FROM session GROUP BY client_id)`,
  `DELETE FROM subscription WHERE session NOT IN (SELECT id FROM session)`,
  `DELETE FROM received WHERE session NOT IN (SELECT id FROM session)`,
  `DELETE FROM queue WHERE owner NOT IN (SELECT id FROM session)`,
  `DELETE FROM will WHERE session NOT IN (SELECT id FROM session)`,
  `DELETE FROM group_queue WHERE owner NOT IN (SELECT id FROM share_group)`,
  `DELETE FROM queue WHERE message NOT IN (SELECT id FROM message)`,
  `DELETE FROM group_queue WHERE message NOT IN (SELECT id FROM message)`,
  `DELETE FROM retained WHERE message NOT IN (SELECT id FROM message)`,
  `DELETE FROM will WHERE message NOT IN (SELECT id FROM message)`,
  `DELETE FROM message WHERE id NOT IN (${REFERENCES})`,
  `DELETE FROM shared_message`,
  `INSERT INTO shared_message SELECT message, count(*) FROM (${REFERENCES})
    GROUP BY message HAVING count(*) > 1`,
]
