select * from {{ ref('short_lived') }}
