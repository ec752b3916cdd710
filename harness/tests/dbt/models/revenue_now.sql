{{ config(materialized='stream_table', refresh_mode='immediate') }}
select customer, sum(amount) as total from {{ ref('orders') }} group by customer
