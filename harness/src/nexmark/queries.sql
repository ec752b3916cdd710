-- q0
SELECT id, auction, bidder, price, date_time FROM bid;

-- q1
SELECT id, auction, bidder, 0.908 * price AS price, date_time FROM bid;

-- q2
SELECT id, auction, price FROM bid WHERE auction % 123 = 0;

-- q3
SELECT p.name, p.city, p.state, a.id
FROM auction a JOIN person p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');

-- q4
SELECT q.category, avg(q.final) AS mean
FROM (SELECT max(b.price) AS final, a.category
      FROM auction a, bid b
      WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
      GROUP BY a.id, a.category) q
GROUP BY q.category;

-- q5
WITH counted AS (
    SELECT b.auction, w.start, count(*) AS n
    FROM bid b, generate_series(date_bin('20 ms', b.date_time, timestamp '2000-01-01') - interval '80 ms',
                                date_bin('20 ms', b.date_time, timestamp '2000-01-01'), interval '20 ms') w(start)
    GROUP BY b.auction, w.start)
SELECT c.start, c.auction, c.n
FROM counted c JOIN (SELECT start, max(n) AS most FROM counted GROUP BY start) m ON m.start = c.start AND c.n = m.most;

-- q6
SELECT seller, id, avg(final) OVER (PARTITION BY seller ORDER BY expires, id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS mean
FROM (SELECT a.id, a.seller, a.expires, max(b.price) AS final
      FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires
      GROUP BY a.id, a.seller, a.expires) q;

-- q7
SELECT b.id, b.auction, b.price, b.bidder, m.start
FROM bid b
JOIN (SELECT date_bin('50 ms', date_time, timestamp '2000-01-01') AS start, max(price) AS price FROM bid GROUP BY 1) m
  ON b.price = m.price AND b.date_time >= m.start AND b.date_time < m.start + interval '50 ms';

-- q8
SELECT p.id, p.name, p.start
FROM (SELECT DISTINCT id, name, date_bin('100 ms', date_time, timestamp '2000-01-01') AS start FROM person) p
JOIN (SELECT DISTINCT seller, date_bin('100 ms', date_time, timestamp '2000-01-01') AS start FROM auction) a
  ON p.id = a.seller AND p.start = a.start;

-- q9
SELECT DISTINCT ON (a.id) a.id, a.item_name, b.bidder, b.price, b.date_time, b.id AS bid
FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
ORDER BY a.id, b.price DESC, b.date_time, b.id;

-- q14
SELECT id, auction, 0.908 * price AS price,
       CASE WHEN extract(hour FROM date_time) BETWEEN 8 AND 18 THEN 'day' ELSE 'night' END AS kind,
       length(url) - length(replace(url, 'c', '')) AS cs
FROM bid
WHERE 0.908 * price > 1000 AND 0.908 * price < 50000000;

-- q15
SELECT date_bin('100 ms', date_time, timestamp '2000-01-01') AS start, count(*) AS total,
       count(*) FILTER (WHERE price < 10000) AS low, count(*) FILTER (WHERE price >= 1000000) AS high,
       count(DISTINCT bidder) AS bidders, count(DISTINCT bidder) FILTER (WHERE price < 10000) AS low_bidders,
       count(DISTINCT auction) AS auctions
FROM bid
GROUP BY 1;

-- q16
SELECT channel, date_bin('1 second', date_time, timestamp '2000-01-01') AS start, max(date_time) AS last,
       count(*) AS total, count(DISTINCT bidder) AS bidders, count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS high
FROM bid
GROUP BY channel, 2;

-- q17
SELECT auction, date_bin('1 second', date_time, timestamp '2000-01-01') AS start, count(*) AS total,
       min(price) AS low, max(price) AS high, avg(price) AS mean, sum(price) AS sum
FROM bid
GROUP BY auction, 2;

-- q18
SELECT auction, bidder, price, date_time, id
FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, id DESC) AS place FROM bid) b
WHERE place <= 1;

-- q19
SELECT *
FROM (SELECT id, auction, bidder, price, row_number() OVER (PARTITION BY auction ORDER BY price DESC, id) AS place FROM bid) b
WHERE place <= 10;

-- q20
SELECT b.id, b.auction, b.price, a.item_name, a.seller, a.category
FROM bid b JOIN auction a ON b.auction = a.id
WHERE a.category = 10;

-- q21
SELECT id, channel,
       CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
            ELSE substring(url FROM '(?:&|^)channel_id=([^&]*)') END AS channel_id
FROM bid
WHERE substring(url FROM '(?:&|^)channel_id=([^&]*)') IS NOT NULL
   OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu');

-- q22
SELECT id, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid;

-- q101
SELECT a.id, a.item_name, b.most
FROM auction a LEFT JOIN (SELECT auction, max(price) AS most FROM bid GROUP BY auction) b ON a.id = b.auction;

-- q102
SELECT a.id, a.item_name, count(b.auction) AS bids
FROM auction a JOIN bid b ON a.id = b.auction
GROUP BY a.id, a.item_name
HAVING count(b.auction) >= (SELECT count(*) / count(DISTINCT auction) FROM bid);

-- q103
SELECT id, item_name FROM auction WHERE id IN (SELECT auction FROM bid GROUP BY auction HAVING count(*) >= 20);

-- q104
SELECT id, item_name FROM auction WHERE id NOT IN (SELECT auction FROM bid GROUP BY auction HAVING count(*) < 20);

-- q105
SELECT a.id, a.item_name, count(b.auction) AS bids
FROM auction a JOIN bid b ON a.id = b.auction
GROUP BY a.id, a.item_name
ORDER BY bids DESC, a.id, a.item_name
LIMIT 100;
