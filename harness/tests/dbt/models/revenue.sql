{{ config(
    materialized='stream_table', schedule='1h', refresh_mode='differential',
    indexes=[{'columns': ['customer'], 'unique': true}, {'columns': ['total'], 'type': 'btree'}],
    grants={'select': ['reader']}) }}
select customer, count(*) as orders, sum(amount) as total
from {{ ref('orders') }}
group by customer -- It's a comment at the end.
