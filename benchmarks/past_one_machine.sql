-- Written by hand for the same question over the same rows, each of which counts once (FINAL). `{today}` is a day since 1970; windows of
-- calls end at 23:00 of the last day, when the questions are asked.
-- Sessions end after half an hour without activity, those with an id of the client after a day.

-- engagement
SELECT uniqExactIf(user, d = {today}), uniqExactIf(user, d > {today} - 7), uniqExactIf(user, d > {today} - 28),
    uniqExact(user), uniqExact(user, d)
    FROM (SELECT user, toInt32(toUInt16(day)) AS d
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1 AND day > toDate({today} - 30));
SELECT countIf(first > {today} - 30)
    FROM (SELECT user, min(toInt32(toUInt16(day))) AS first
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1
        GROUP BY user);
SELECT count(), sum(s[-1].1 - s[1].1), sum(length(s)), countIf(arraySum(s.2) > 0), countIf(arraySum(s.2) = 1 AND
    arraySum(s.3) = 0 AND s[-1].1 - s[1].1 < 10000000)
    FROM (SELECT user, arrayJoin(arraySplit((x, pause) -> pause > if(session = 0, 1800000000, 86400000000),
        arraySort(groupArray((toUnixTimestamp64Micro(ts), toUInt8(type IN ('page_view')), toUInt8(type IN
        ('purchase'))))) AS xs, arrayDifference(xs.1))) AS s
    FROM measure.event FINAL
        WHERE environment = 'production' AND background = 0 AND day BETWEEN toDate({today} - 31) AND toDate({today})
        GROUP BY user, session)
        WHERE toInt32(intDiv(s[1].1, 86400000000)) > {today} - 30;

-- retention
SELECT arrayMin(ds) AS first, count(), countIf(has(ds, first + 1)), countIf(has(ds, first + 7)), countIf(has(ds,
    first + 30))
    FROM (SELECT user, groupUniqArray(toInt32(toUInt16(day))) AS ds
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1
        GROUP BY user)
        GROUP BY first;
SELECT countIf(now AND NOT before), countIf(now AND before), countIf(before AND NOT now)
    FROM (SELECT user, max(d > {today} - 29 AND d < {today}) AS now, max(d <= {today} - 29) AS before
    FROM (SELECT user, toInt32(toUInt16(day)) AS d
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1 AND day BETWEEN toDate({today} - 56) AND toDate({today} - 1))
        GROUP BY user);

-- conversion
SELECT count(), countIf(bought >= first AND n > 0), sumIf(bought - first, bought >= first AND n > 0), sum(n)
    FROM (SELECT user, min(toUnixTimestamp64Micro(ts)) AS first, minIf(toUnixTimestamp64Micro(ts), type =
        'purchase') AS bought, countIf(type = 'purchase') AS n, sum(value_nano)
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1 AND day > toDate({today} - 30)
        GROUP BY user);

-- nps
SELECT countIf(s >= 9), countIf(s <= 6), count()
    FROM (SELECT argMax(score, (ts, id)) AS s
        FROM measure.nps_response FINAL
        WHERE environment = 'production' AND day > toDate({today} - 90)
        GROUP BY user, survey);

-- segments
SELECT countIf({today} - arrayMin(ds) < 7), countIf(arrayCount(d -> d > {today} - 28, ds) >= 12 AND arrayMax(ds) >
    {today} - 7), countIf(arrayMax(ds) > {today} - 7), countIf(arrayMax(ds) <= {today} - 30),
    countIf(arrayExists((d, p) -> p >= 30 AND d > {today} - 7, arraySort(ds), arrayDifference(arraySort(ds)))),
    count()
    FROM (SELECT user, groupUniqArray(toInt32(toUInt16(day))) AS ds
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1
        GROUP BY user);

-- user series
SELECT day, uniqExact(user)
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1 AND day > toDate({today} - 30)
        GROUP BY day;
SELECT first, count()
    FROM (SELECT user, min(day) AS first
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1
        GROUP BY user)
        GROUP BY first;
SELECT day, count(), countIf(has(ds, day - 1))
    FROM (SELECT user, groupUniqArray(day) AS ds
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1 AND day > toDate({today} - 31)
        GROUP BY user)
        ARRAY JOIN ds AS day
        GROUP BY day;
SELECT toInt32(intDiv(s[1].1, 86400000000)) AS d, count(), sum(s[-1].1 - s[1].1), sum(length(s)),
    countIf(arraySum(s.2) > 0), countIf(arraySum(s.2) = 1 AND arraySum(s.3) = 0 AND s[-1].1 - s[1].1 < 10000000)
    FROM (SELECT user, arrayJoin(arraySplit((x, pause) -> pause > if(session = 0, 1800000000, 86400000000),
        arraySort(groupArray((toUnixTimestamp64Micro(ts), toUInt8(type IN ('page_view')), toUInt8(type IN
        ('purchase'))))) AS xs, arrayDifference(xs.1))) AS s
    FROM measure.event FINAL
        WHERE environment = 'production' AND background = 0 AND day BETWEEN toDate({today} - 31) AND toDate({today})
        GROUP BY user, session)
        GROUP BY d;
SELECT day, countIf(bought >= first AND n > 0), sumIf(bought - first, bought >= first AND n > 0), sum(n), sum(value)
    FROM (SELECT user, day, min(toUnixTimestamp64Micro(ts)) AS first, minIf(toUnixTimestamp64Micro(ts), type =
        'purchase') AS bought, countIf(type = 'purchase') AS n, sum(value_nano) AS value
    FROM measure.event FINAL
        WHERE environment = 'production' AND active = 1 AND day > toDate({today} - 30)
        GROUP BY user, day)
        GROUP BY day;
SELECT day, countIf(s >= 9), countIf(s <= 6), count()
    FROM (SELECT user, day, argMax(score, ts) AS s
    FROM measure.nps_response FINAL
        WHERE environment = 'production' AND day > toDate({today} - 30)
        GROUP BY user, day)
        GROUP BY day;

-- models, 30 days
SELECT model, version, count(), count(error_type), sum(input_tokens), count(input_tokens), sum(output_tokens),
    count(output_tokens), sum(cost_nano), count(cost_nano), sum(cached_input_tokens), count(cached_input_tokens),
    sumIf(least(cached_input_tokens, input_tokens), input_tokens IS NOT NULL), sum(reasoning_tokens),
    count(reasoning_tokens), sum(saved_nano), count(saved_nano), sumMap(map(ifNull(cost_source, ''), cost_nano)),
    quantilesExactIf(0.5, 0.95, 0.99)(latency_ms, untimed = 0), minIf(latency_ms, untimed = 0), max(latency_ms),
    sumIf(latency_ms, untimed = 0), quantilesExact(0.5, 0.95, 0.99)(first_chunk_ms)
    FROM measure.inference FINAL
    WHERE environment = 'production' AND day >= toDate({today} - 30)
        AND ts >= toDateTime64('2026-03-31 23:00:00', 6) AND ts < toDateTime64('2026-04-30 23:00:00', 6)
    GROUP BY model, version;

-- model series, 24 hours
SELECT toStartOfInterval(ts, INTERVAL 5 MINUTE) AS step, count(), count(error_type), sum(input_tokens),
    count(input_tokens), sum(output_tokens), count(output_tokens), sum(cost_nano), count(cost_nano),
    sum(cached_input_tokens), quantilesExactIf(0.5, 0.95, 0.99)(latency_ms, untimed = 0),
    quantilesExact(0.5, 0.95, 0.99)(first_chunk_ms)
    FROM measure.inference FINAL
    WHERE environment = 'production' AND day >= toDate({today} - 1)
        AND ts >= toDateTime64('2026-04-29 23:00:00', 6) AND ts < toDateTime64('2026-04-30 23:00:00', 6)
    GROUP BY step;

-- spending, 30 days
SELECT user_id, count() AS requests, count(error_type), sum(input_tokens), sum(output_tokens), sum(cached_input_tokens),
    sum(cost_nano) AS cost, count(cost_nano), countIf(user_id IS NOT NULL) OVER (), sum(cost) OVER (),
    sumIf(cost, user_id IS NULL) OVER (), sumIf(requests, user_id IS NULL) OVER ()
    FROM measure.inference FINAL
    WHERE environment = 'production' AND day >= toDate({today} - 30)
        AND ts >= toDateTime64('2026-03-31 23:00:00', 6) AND ts < toDateTime64('2026-04-30 23:00:00', 6)
    GROUP BY user_id
    ORDER BY user_id IS NULL, cost DESC
    LIMIT 1000;

-- experiment
SELECT e.variant, count(), countIf(c.at >= e.at)
    FROM (SELECT user, argMin(variant, ts) AS variant, min(ts) AS at
        FROM measure.exposure FINAL
        WHERE environment = 'production' AND experiment = 'checkout'
        GROUP BY user) AS e
    LEFT JOIN (SELECT user, min(ts) AS at
        FROM (SELECT user, ts FROM measure.ab_conversion FINAL
            WHERE environment = 'production' AND experiment = 'checkout'
            UNION ALL SELECT user, ts FROM measure.event FINAL
            WHERE environment = 'production' AND experiment = 'checkout' AND type = 'conversion')
        GROUP BY user) AS c ON c.user = e.user
    GROUP BY e.variant;
