select * from {{ ref('people_kept') }} where ssn not like '***%' or salary <> 0
