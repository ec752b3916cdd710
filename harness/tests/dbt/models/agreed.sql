{{ config(materialized='stream_table') }}
select id, customer::text as customer from {{ ref('orders') }}
