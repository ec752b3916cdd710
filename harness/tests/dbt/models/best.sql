{{ config(materialized='view') }}
select customer, total from {{ ref('revenue') }} where total >= 20
