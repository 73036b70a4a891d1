{{ config(materialized='ephemeral') }}
select region, count(*) as n from {{ ref('own_orders') }} group by region
