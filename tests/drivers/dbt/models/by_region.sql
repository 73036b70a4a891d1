{{ config(materialized='view') }}
select o.region, q.quota, sum(o.amount) as amount
from {{ ref('own_orders') }} o join {{ ref('quotas') }} q on q.region = o.region
group by o.region, q.quota
